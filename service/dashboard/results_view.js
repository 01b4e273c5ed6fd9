// pass@k of one job: marks with whiskers, a table, and the paired difference.

import { intervalPlot, stageMark } from "./charts.js";
import { fill, h } from "./elements.js";
import { integer, number, percent, plural, probability, signed, stageInWords, stepOfStage } from "./words.js";

/** update(results | null, job): `results` is a JobResults of the API. */
export function resultsView() {
  const element = h("div", { class: "results" });
  return { element, update: (results, job) => fill(element, [results, job.state, job.spec.evaluation], () => build(results, job)) };
}

function build(results, job) {
  if (job.spec.evaluation?.benchmarks.length === 0) {
    return h("p", { class: "empty" }, "This job's spec has no benchmark, so pass@k is not measured.");
  }
  if (results === null || results.evaluations.length === 0) {
    return h("p", { class: "empty" }, "No evaluation has finished yet.");
  }
  const during = results.evaluations.filter((one) => stepOfStage(one.stage) !== null);
  const others = results.evaluations.filter((one) => stepOfStage(one.stage) === null);
  const names = [...new Set(results.evaluations.map((one) => one.benchmark))];
  const stages = [...new Set(others.map((one) => one.stage))];
  const legend = h("p", { class: "legend" }, stages.map((stage) =>
    h("span", { class: "legend-item" }, stageMark(stage), stageInWords(stage))),
    h("span", { class: "note" }, "whiskers: 95 % interval over problems"));
  return [
    legend,
    names.map((name) => benchmark(name, results, stages, others)),
    names.length > 1 ? means(results) : null,
    names.map((name) => curve(name, during)),
    distances(results.reverse_kls),
    overlaps(results.prompt_overlaps),
    h("p", { class: "note" }, results.note),
  ];
}

function benchmark(name, results, stages, evaluations) {
  const byStage = Object.fromEntries(
    evaluations.filter((one) => one.benchmark === name).map((one) => [one.stage, one]));
  const difference = results.differences.find((one) => one.benchmark === name);
  const [any] = Object.values(byStage);
  if (!any) return null;
  const ks = Object.keys(any.pass_at).sort((a, b) => a - b);
  const plot = intervalPlot(`pass@k on ${name} with 95 % intervals; the table has the same numbers`);
  plot.update(ks.map((k) => ({
    label: `pass@${k}`,
    marks: stages.filter((stage) => byStage[stage]).map((stage) => ({ stage, ...byStage[stage].pass_at[k] })),
  })));
  return h("div", { class: "benchmark" },
    h("h3", {}, name, h("span", { class: "note" },
      ` ${plural(any.num_problems, "problem")}, n = ${any.samples_per_problem}, ${samplingInWords(any)}`)),
    h("div", { class: "result-pair" }, plot.element, table({ name, ks, stages, byStage, difference })),
    h("p", { class: "note" }, `Graded by ${any.grader}.`));
}

const samplingInWords = ({ profile, temperature, top_p, top_k, max_response_tokens: limit }) =>
  `profile ${profile}: temperature ${number(temperature)}, top-p ${number(top_p)}`
  + `${top_k === null ? "" : `, top-k ${integer(top_k)}`}, at most ${integer(limit)} tokens`;

/** The unweighted mean over the benchmarks of each stage. */
function means({ means: all }) {
  const shown = all.filter(({ stage }) => stepOfStage(stage) === null);
  if (shown.length === 0) return null;
  const ks = Object.keys(shown[0].pass_at).sort((a, b) => a - b);
  return h("div", { class: "benchmark" },
    h("h3", {}, "Mean over benchmarks", h("span", { class: "note" }, ` unweighted: ${shown[0].benchmarks.join(", ")}`)),
    h("table", { class: "numbers" },
      h("caption", { class: "visually-hidden" }, "Mean pass@k over benchmarks"),
      h("thead", {}, h("tr", {}, h("td"), shown.map(({ stage }) => h("th", { scope: "col" }, stageInWords(stage))))),
      h("tbody", {}, ks.map((k) => h("tr", {}, h("th", { scope: "row" }, `pass@${k}`),
        shown.map((one) => h("td", {}, estimate(one.pass_at[k], probability), samplingInterval(one.pass_at[k]))))))));
}

/** pass@k on the pinned subset, by step. */
function curve(name, during) {
  const points = during.filter((one) => one.benchmark === name);
  if (points.length === 0) return null;
  const ks = Object.keys(points[0].pass_at).sort((a, b) => a - b);
  return h("div", { class: "benchmark" },
    h("h3", {}, `${name} during training`, h("span", { class: "note" },
      ` the same ${plural(points[0].num_problems, "problem")} and sample seeds each time`)),
    h("table", { class: "numbers" },
      h("caption", { class: "visually-hidden" }, `pass@k on ${name} during training`),
      h("thead", {}, h("tr", {}, h("td"), ks.map((k) => h("th", { scope: "col" }, `pass@${k}`)))),
      h("tbody", {}, points.map((one) => h("tr", {}, h("th", { scope: "row" }, stageInWords(one.stage)),
        ks.map((k) => h("td", {}, estimate(one.pass_at[k], probability))))))));
}

/** The reverse KL to the teacher on held-out problems, before and after. */
function distances(measured) {
  if (measured.length === 0) return null;
  const names = [...new Set(measured.map((one) => one.benchmark))];
  const stages = [...new Set(measured.map((one) => one.stage))];
  const cell = (one) => one === undefined ? "–" : one.mean_nats === null ? "not finite" : [
    h("span", { class: "estimate" }, number(one.mean_nats)),
    one.standard_error_nats === null ? null : h("span", { class: "interval" }, `± ${number(one.standard_error_nats)}`)];
  const [any] = measured;
  return h("div", { class: "benchmark" },
    h("h3", {}, "Reverse KL to the teacher", h("span", { class: "note" },
      ` nats a token ± standard error, ${plural(any.num_responses, "fresh response")} to held-out problems,`
      + ` ${any.estimator === "full_vocabulary" ? "over the whole vocabulary" : "of the sampled tokens"}`)),
    h("table", { class: "numbers" },
      h("caption", { class: "visually-hidden" }, "Reverse KL of the student to the teacher on held-out problems"),
      h("thead", {}, h("tr", {}, h("td"), stages.map((stage) => h("th", { scope: "col" }, stageInWords(stage))))),
      h("tbody", {}, names.map((name) => h("tr", {}, h("th", { scope: "row" }, name),
        stages.map((stage) => h("td", {}, cell(measured.find((one) => one.benchmark === name && one.stage === stage)))))))));
}

function overlaps(found) {
  const some = found.filter(({ num_overlapping }) => num_overlapping > 0);
  if (some.length === 0) return null;
  return h("p", { class: "note" }, some.map((one) =>
    `${integer(one.num_overlapping)} of ${plural(one.num_prompts, "prompt")} share 13 words in a row with ${one.benchmark}`
    + ` (${one.num_dropped > 0 ? "left out" : "kept"}). `));
}

function table({ name, ks, stages, byStage, difference }) {
  const line = (name, build) => h("tr", {}, h("th", { scope: "row" }, name), cells(build), difference ? h("td") : null);
  const cells = (build) => stages.map((stage) => h("td", {}, byStage[stage] ? build(byStage[stage]) : "–"));
  return h("table", { class: "numbers" },
    h("caption", { class: "visually-hidden" }, `pass@k on ${name}`),
    h("thead", {}, h("tr", {}, h("td"), stages.map((stage) => h("th", { scope: "col" }, stageInWords(stage))),
      difference ? h("th", { scope: "col" }, "after − before") : null)),
    h("tbody", {},
      ks.map((k) => h("tr", {}, h("th", { scope: "row" }, `pass@${k}`),
        cells((one) => [estimate(one.pass_at[k], probability), samplingInterval(one.pass_at[k])]),
        difference ? h("td", {}, difference.pass_at[k] ? changeOf(difference.pass_at[k]) : "–") : null)),
      Object.keys(byStage[stages[0]]?.maj_at ?? {}).sort((a, b) => a - b).map((k) => line(`maj@${k}`, (one) => estimate(one.maj_at[k], probability))),
      line("no answer", (one) => percent(one.fraction_no_answer)),
      line("cut off", (one) => percent(one.fraction_truncated)),
      line("cut off in a loop", (one) => percent(one.fraction_loops)),
      line("grader gave up", (one) => percent(one.fraction_grader_timeouts)),
      line("tokens a response", (one) => number(one.mean_response_tokens)),
      line("tokens", (one) => integer(one.num_response_tokens))));
}

const estimate = ({ estimate: value, low, high }, say) => [
  h("span", { class: "estimate" }, say(value)), h("span", { class: "interval" }, `${say(low)} to ${say(high)}`),
];

const samplingInterval = ({ sampling_low: low, sampling_high: high }) =>
  h("span", { class: "interval", title: "95 % interval: these problems, other samples" }, `samples: ${probability(low)} to ${probability(high)}`);

function changeOf(change) {
  const hasZero = change.low <= 0 && change.high >= 0;
  return [estimate(change, signed), h("span", { class: `verdict ${hasZero ? "" : change.low > 0 ? "better" : "worse"}` },
    hasZero ? "interval holds zero" : "interval excludes zero")];
}
