// One study: what it found, its arms with every seed as a dot, its runs, and what happened to it.

import { ApiError, getStudy, getStudyEvents, getStudyVerdict } from "./api.js";
import { fill, h, section } from "./elements.js";
import { isStudyMoving, studyProgressBar, studyStateLabel } from "./studies_view.js";
import { studyActions } from "./study_actions.js";
import { studyDrift } from "./study_drift.js";
import { armChanges, armTable, contrastBox, differenceTable, runGrid, runsInWords, studyNotes } from "./study_parts.js";
import { differencePlot, seedPlot } from "./study_plots.js";
import { clock, number, plural } from "./words.js";

const MOVING_MS = 3000;
const RESTING_MS = 10_000;

/** A view, as `jobsView`. */
export function studyView(id) {
  let study = null;
  let verdict = null;
  let versionOfVerdict = null;
  const events = [];
  const view = { element: null, title: () => (study === null ? "Study" : `${study.name ?? study.id}: ${study.state}`), refresh };
  const parts = {
    name: h("h1"), state: h("p", { class: "state-line" }), progress: h("div", { class: "progress-line" }),
    actions: h("div", { class: "actions" }), contrast: h("div"), seeds: h("div", { class: "seed-plots" }), arms: h("div"),
    differences: h("div"), notes: h("div"), runs: h("div"), changes: h("div"), events: h("div"),
    spec: h("pre", { tabindex: 0, "aria-label": "Study spec" }),
  };
  const plots = new Map(); // by metric
  const differences = differencePlot("Differences between arms with their 95 % intervals over seeds");
  const drift = studyDrift();
  const notice = h("p", { class: "empty", role: "status" }, "Loading the study…");
  const whole = h("div", { hidden: true },
    h("div", { class: "job-head" }, h("div", {}, parts.name, parts.state), parts.actions),
    parts.progress,
    section("Registered contrast", parts.contrast),
    section("Arms", [parts.seeds, parts.arms],
      "Every dot is a training seed; ▼ collapsed. Bar: mean. Whiskers: 95 % interval of the mean over other seeds, for these problems."),
    section("Differences", [differences.element, parts.differences, parts.notes],
      "The first is the registered contrast. All others are exploratory: their p-values are adjusted after Holm."),
    section("Runs", [parts.runs, parts.changes], "● done, ▼ collapsed, ✗ failed, · not submitted, – cancelled or deleted; else steps done."),
    section("Drift maps", drift.element),
    section("Events", parts.events),
    h("details", { class: "spec" }, h("summary", {}, "Study spec"), parts.spec));
  view.element = h("div", { class: "page" },
    h("nav", { "aria-label": "Breadcrumb" }, h("a", { href: "#/studies" }, "← All studies")), notice, whole);

  async function refresh(signal) {
    try {
      study = await getStudy(id, signal);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404 || study !== null) throw error;
      notice.textContent = error.message;
      return RESTING_MS;
    }
    // A verdict changes only with an event.
    if (versionOfVerdict !== study.version) {
      verdict = await getStudyVerdict(id, signal);
      versionOfVerdict = study.version;
    }
    await refreshEvents(signal);
    show();
    await drift.refresh(study, signal);
    return isStudyMoving(study.state) ? MOVING_MS : RESTING_MS;
  }

  async function refreshEvents(signal) {
    for (;;) {
      const page = await getStudyEvents(id, events.at(-1)?.seq ?? 0, signal);
      events.push(...page.events);
      if (page.events.length < 500) return;
    }
  }

  function show() {
    notice.hidden = true;
    whole.hidden = false;
    fill(parts.name, study.name, () => study.name ?? "unnamed study");
    fill(parts.state, [study.state, study.reason], () => [
      studyStateLabel(study.state), study.reason && h("span", { class: "note" }, study.reason), h("span", { class: "id" }, study.id),
    ]);
    fill(parts.progress, [study.state, study.progress], () => [
      studyProgressBar(study), h("span", { class: "figures" }, runsInWords(study)),
    ]);
    fill(parts.actions, study.state, (state) => studyActions(id, state, view));
    fill(parts.contrast, verdict.contrast, () => contrastBox(verdict));
    showPlots();
    fill(parts.arms, verdict.arms, () => armTable(verdict));
    fill(parts.differences, verdict.exploratory, () => differenceTable(verdict.exploratory));
    fill(parts.notes, [verdict.left_out, verdict.notes], () => studyNotes(verdict));
    fill(parts.runs, study.arms, () => runGrid(study));
    fill(parts.changes, study.spec.arms, () => armChanges(study.spec));
    fill(parts.events, events.length, () => eventList(events));
    fill(parts.spec, study.spec, () => JSON.stringify(study.spec, null, 2));
  }

  function showPlots() {
    const metrics = [...new Set(verdict.arms.flatMap((arm) => Object.keys(arm.metrics)))];
    const { metric: registered } = study.spec.contrast;
    metrics.sort((a, b) => (b === registered) - (a === registered));
    fill(parts.seeds, metrics, () => (metrics.length === 0 ? h("p", { class: "empty" }, "No run has ended yet.")
      : metrics.map((metric) => {
        plots.set(metric, seedPlot(`${metric} of every arm by seed`));
        return h("figure", { class: "chart" },
          h("figcaption", {}, h("span", { class: "chart-title" }, metric, h("span", { class: "unit" },
            metric === registered ? " registered" : ""))), plots.get(metric).element);
      })));
    for (const metric of metrics) plots.get(metric).update(study.arms.map((arm, i) => seedRow(arm, verdict.arms[i], metric)));
    const all = [verdict.contrast, ...verdict.exploratory].filter((one) => one !== null);
    differences.update(all.map((one) => ({
      label: `${one.arm} − ${one.minus}, ${one.metric}`,
      title: one.reading, isStrong: one.pre_registered, low: one.low, high: one.high, middle: one.estimate, dots: [],
    })));
  }

  function seedRow(arm, found, metric) {
    const figures = found.metrics[metric];
    const marks = `${arm.name === study.spec.baseline ? " (baseline)" : ""}${arm.num_collapsed ? ` ▼${arm.num_collapsed}` : ""}`;
    const label = `${arm.name}${marks}`;
    const collapse = arm.num_collapsed ? `, ${plural(arm.num_collapsed, "seed")} collapsed` : "";
    if (!figures) return { label, title: `${arm.name}: no seed yet${collapse}`, dots: [], low: null, high: null, middle: NaN };
    const collapsed = new Set(arm.runs.filter((run) => run.collapsed).map((run) => run.seed));
    return {
      label,
      title: `${arm.name}: ${number(figures.mean)} over ${plural(figures.num_seeds, "seed")}${collapse}`,
      low: figures.low, high: figures.high, middle: figures.mean, isStrong: arm.name === study.spec.contrast.arm,
      dots: figures.seeds.map((seed, i) => ({
        value: figures.values[i], isCollapsed: collapsed.has(seed), title: `${arm.name}, seed ${seed}: ${number(figures.values[i])}`,
      })),
    };
  }

  return view;
}

const eventList = (events) => h("ul", { class: "events" }, events.slice(-200).reverse().map((event) => h("li", {},
  h("time", { datetime: event.at }, clock(new Date(event.at))), studyStateLabel(event.state), h("span", {}, event.message))));
