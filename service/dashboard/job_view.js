// One job: its state, what it measured, and what happened to it.

import { ApiError, secondsSince } from "./api.js";
import { driftMap } from "./drift_map.js";
import { fill, h, section } from "./elements.js";
import { gateWhatIf } from "./gate_what_if.js";
import { gradientTable } from "./gradient_table.js";
import { jobActions } from "./job_actions.js";
import { checkpointList, eventList, facts, failureBox, figures, warningsBox } from "./job_parts.js";
import { JobData } from "./job_data.js";
import { progressBar, stateLabel } from "./jobs_view.js";
import { resultsView } from "./results_view.js";
import { trainingCharts } from "./training_charts.js";
import { duration, integer, isMoving, trains } from "./words.js";

const MOVING_MS = 2000;
const RESTING_MS = 10_000;

/** A view, as `jobsView`. */
export function jobView(id) {
  const data = new JobData(id);
  const view = { element: null, title: () => title(data.job), refresh };
  const parts = {
    name: h("h1"), state: h("p", { class: "state-line" }), progress: h("div", { class: "progress-line" }),
    actions: h("div", { class: "actions" }), failure: h("div"), warnings: h("div"), facts: h("div"),
    figures: h("div"), gradients: h("div"), events: h("div"), checkpoints: h("div"),
    spec: h("pre", { tabindex: 0, "aria-label": "Job spec" }),
  };
  const results = resultsView();
  const charts = trainingCharts();
  const heat = driftMap();
  const whatIf = gateWhatIf(id);
  const notice = h("p", { class: "empty", role: "status" }, "Loading the job…");
  const checkpoints = section("Checkpoints", parts.checkpoints);
  const anotherGate = section("Another gate", whatIf.element,
    "What it would have done to the updates whose drift was kept token by token. Nothing is trained.");
  const gradients = section("Gradient fidelity", parts.gradients);
  const ofTraining = [
    section("Training", [parts.figures, charts.element]),
    section("Drift map", heat.element,
      "Mean of d = log pi_cur − log pi_old of the sampled tokens, by response position and update. The first update of every batch has d = 0."),
  ];
  const whole = h("div", { hidden: true },
    h("div", { class: "job-head" }, h("div", {}, parts.name, parts.state), parts.actions),
    parts.progress, parts.failure, parts.warnings, parts.facts,
    section("pass@k", results.element), ...ofTraining, anotherGate, gradients,
    h("div", { class: "two" }, section("Events", parts.events), checkpoints),
    h("details", { class: "spec" }, h("summary", {}, "Job spec"), parts.spec));
  view.element = h("div", { class: "page" },
    h("nav", { "aria-label": "Breadcrumb" }, h("a", { href: "#/" }, "← All jobs")), notice, whole);

  async function refresh(signal) {
    try {
      await data.refresh(signal);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404 || data.job !== null) {
        if (data.job !== null) show();
        throw error;
      }
      notice.textContent = error.message;
      return RESTING_MS;
    }
    show();
    return isMoving(data.job.state) ? MOVING_MS : RESTING_MS;
  }

  function show() {
    const { job } = data;
    notice.hidden = true;
    whole.hidden = false;
    fill(parts.name, job.name, () => job.name ?? "unnamed job");
    fill(parts.state, [job.state, job.phase, job.attempt, timing(job)], () => [
      stateLabel(job), h("span", { class: "note" }, timing(job)),
      job.attempt > 1 ? h("span", { class: "note" }, `attempt ${job.attempt}`) : null, h("span", { class: "id" }, job.id),
    ]);
    fill(parts.progress, [job.state, job.progress], () => [
      progressBar(job),
      trains(job.spec) ? h("span", { class: "figures" }, `${integer(job.progress.update)} / ${integer(job.progress.total_updates)} updates`) : null,
      trains(job.spec) && job.progress.samples_to_evaluate > 0
        ? h("span", { class: "figures" }, `${integer(job.progress.evaluated_samples)} / ${integer(job.progress.samples_to_evaluate)} samples graded`) : null,
    ]);
    for (const part of [...ofTraining, checkpoints]) part.hidden = !trains(job.spec);
    fill(parts.actions, job.state, (state) => jobActions(id, state, view));
    fill(parts.failure, job.failure, () => failureBox(job.failure));
    fill(parts.warnings, job.warnings, () => warningsBox(job.warnings));
    fill(parts.facts, job.spec, () => facts(job.spec));
    fill(parts.spec, job.spec, () => JSON.stringify(job.spec, null, 2));
    results.update(data.results, job);
    fill(parts.figures, [data.metrics.update.length, data.metrics.attempt.at(-1)], () => figures(data));
    if (trains(job.spec)) {
      charts.update(data);
      heat.update(data.drift);
      whatIf.update(job.spec.gate);
    }
    anotherGate.hidden = !trains(job.spec) || job.spec.diagnostics.token_drift_updates === 0 || data.metrics.update.length === 0;
    gradients.hidden = data.gradients.length === 0;
    fill(parts.gradients, data.gradients, () => (data.gradients.length ? gradientTable(data.gradients) : null));
    fill(parts.events, data.events.length, () => eventList(data.events));
    fill(parts.checkpoints, data.checkpoints, () => checkpointList(data.checkpoints));
  }

  return view;
}

function title(job) {
  if (job === null) return "Job";
  const progress = isMoving(job.state) && trains(job.spec) ? ` ${job.progress.step}/${job.progress.total_steps}` : "";
  return `${job.name ?? job.id}: ${job.state}${progress}`;
}

function timing(job) {
  if (job.started_at === null && job.finished_at !== null) return "never started";
  if (job.started_at === null) return `waiting for ${duration(secondsSince(job.created_at))}`;
  const end = job.finished_at ? secondsSince(job.finished_at) : 0;
  return `${job.finished_at ? "took" : "for"} ${duration(secondsSince(job.started_at) - end)}`;
}
