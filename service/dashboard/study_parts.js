// The parts of a study's page: its runs by arm and seed, what was found, the numbers behind it.

import { h } from "./elements.js";
import { integer, number, plural, probability, signed } from "./words.js";

const MARKS = { succeeded: "●", failed: "✗", cancelled: "–", deleted: "–", pending: "·" };

/** Arms down, seeds across; every run that was submitted leads to its job. */
export function runGrid(study) {
  const { seeds } = study.spec;
  return h("div", { class: "wide" }, h("table", { class: "numbers runs" },
    h("caption", { class: "visually-hidden" }, "Runs by arm and seed"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "seed"), seeds.map((seed) => h("th", { scope: "col" }, String(seed))),
      h("th", { scope: "col" }, "collapsed"))),
    h("tbody", {}, study.arms.map((arm) => h("tr", {},
      h("th", { scope: "row" }, arm.name, arm.name === study.spec.baseline ? h("span", { class: "note" }, " baseline") : null),
      arm.runs.map((run) => h("td", {}, runMark(run))),
      h("td", { class: arm.num_collapsed ? "run-collapsed" : null }, integer(arm.num_collapsed)))))));
}

function runMark(run) {
  const name = run.collapsed ? "collapsed" : run.state;
  const isActive = !(run.state in MARKS);
  const text = run.collapsed ? "▼" : isActive ? `${run.step}/${run.total_steps}` : MARKS[run.state];
  const title = run.failure_code ? `${name}: ${run.failure_code}` : name;
  const mark = h("span", { class: `run run-${isActive ? "active" : name}`, title, "aria-label": title }, text);
  return run.job_id === null || run.state === "deleted" ? mark
    : h("a", { href: `#/jobs/${encodeURIComponent(run.job_id)}`, "aria-label": `job: ${title}` }, mark);
}

/** The registered contrast in a sentence, apart from all else. */
export function contrastBox(verdict) {
  if (verdict.contrast === null) return h("p", { class: "note" }, "No run of both arms of the contrast has ended yet.");
  const { contrast } = verdict;
  return h("p", { class: `contrast ${contrast.is_found ? "found" : contrast.can_resolve ? "" : "unresolved"}` }, contrast.reading);
}

/** Means over seeds with where their variance comes from. */
export function armTable(verdict) {
  const metrics = [...new Set(verdict.arms.flatMap((arm) => Object.keys(arm.metrics)))];
  const columns = ["arm", "metric", "seeds", "mean", "95 % over seeds", "sd", "of seeds", "of samples", "of problems"];
  return h("div", { class: "wide" }, h("table", { class: "numbers" },
    h("caption", { class: "visually-hidden" }, "Arms over their seeds"),
    h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, metrics.flatMap((metric) => verdict.arms.filter((arm) => arm.metrics[metric]).map((arm) => {
      const figures = arm.metrics[metric];
      return h("tr", {}, h("th", { scope: "row" }, arm.arm), h("td", {}, metric), h("td", {}, integer(figures.num_seeds)),
        h("td", {}, h("span", { class: "estimate" }, probability(figures.mean))), h("td", {}, range(figures, probability)),
        [figures.sd, figures.parts?.seed_sd, figures.parts?.sampling_sd, figures.parts?.problem_sd]
          .map((value) => h("td", {}, number(value))));
    })))));
}

/** Every difference that is not the contrast. */
export function differenceTable(differences) {
  if (differences.length === 0) return h("p", { class: "note" }, "Nothing to compare yet.");
  const columns = ["arm − minus", "metric", "seeds", "difference", "95 % over seeds", "p", "p (Holm)", "would be found", "found"];
  return h("div", { class: "wide" }, h("table", { class: "numbers" },
    h("caption", { class: "visually-hidden" }, "Exploratory differences"),
    h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, differences.map((one) => h("tr", {},
      h("th", { scope: "row" }, `${one.arm} − ${one.minus}`), h("td", {}, one.metric), h("td", {}, integer(one.num_pairs)),
      h("td", {}, h("span", { class: "estimate" }, signed(one.estimate))), h("td", {}, range(one, signed)),
      h("td", {}, number(one.p_value)), h("td", {}, number(one.adjusted_p_value)),
      h("td", {}, number(one.smallest_detectable_difference)), h("td", {}, finding(one)))))));
}

const range = ({ low, high }, say) => (low === null || high === null ? "–" : `${say(low)} to ${say(high)}`);

function finding(one) {
  if (!one.can_resolve) return "too few seeds";
  if (!one.is_found) return "no";
  return one.estimate > 0 ? "higher" : "lower";
}

export function studyNotes(verdict) {
  return [
    ...verdict.left_out.map((run) => h("p", { class: "note" }, `Left out: ${run.arm}, seed ${run.seed}. ${run.reason}`)),
    ...verdict.notes.map((note) => h("p", { class: "note" }, note)),
  ];
}

/** What each arm changes of the base spec. */
export const armChanges = (spec) => h("dl", { class: "facts" }, spec.arms.map((arm) => h("div", {},
  h("dt", {}, arm.name), h("dd", {}, h("code", {}, Object.keys(arm.changes).length ? JSON.stringify(arm.changes) : "the base as it is")))));

export const runsInWords = ({ progress }) => [
  `${plural(progress.num_active, "job")} active`,
  progress.num_failed ? `${integer(progress.num_failed)} failed` : null,
  `${integer(progress.step)} / ${integer(progress.total_steps)} steps`,
].filter((part) => part !== null).join(", ");
