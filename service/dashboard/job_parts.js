// The plain parts of a job's page: what was asked for, what went wrong, figures, events, checkpoints.

import { h } from "./elements.js";
import { bytes, clock, dateAndTime, destinationInWords, duration, gateInWords, integer, number, objectiveInWords, percent, plural, trains } from "./words.js";

const MAX_EVENTS_SHOWN = 200;

/** A list of terms and values; entries whose value is null are left out. */
const definitions = (entries, name) =>
  h("dl", { class: name }, entries.filter(([, value]) => value !== null)
    .map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));

export function facts(spec) {
  const labels = Object.entries(spec.labels).map(([key, value]) => [key, value || "–"]);
  if (!trains(spec)) {
    return definitions([...subjectOf(spec), ...labels], "facts");
  }
  const { rollout, reuse, optimizer } = spec;
  return definitions([
    ["Objective", objectiveInWords(spec.objective)],
    ["Gate", gateInWords(spec.gate)],
    ["Student", modelName(spec.student)],
    ["Teacher", teacherName(spec.teacher)],
    ["Each step", `${plural(rollout.prompts_per_step, "prompt")} × ${plural(rollout.samples_per_prompt, "sample")}`],
    ["Response limit", plural(rollout.max_response_tokens, "token")],
    ["Reuse", `${plural(reuse.epochs, "epoch")} × ${plural(reuse.minibatches, "minibatch").replace("minibatchs", "minibatches")}`],
    ["Learning rate", number(optimizer.learning_rate)],
    ["Seed", integer(spec.seed)],
    ...labels,
  ], "facts");
}

/** What a job that trains nothing works on. */
function subjectOf(spec) {
  if (spec.kind === "evaluation") return [["Model", modelName(spec.model)]];
  if (spec.kind === "regrade") return [["Graded job", linkToJob(spec.job_id)]];
  const step = spec.step === null ? "the newest" : `step ${integer(spec.step)}`;
  return [["Exported job", linkToJob(spec.job_id)], ["Checkpoint", step], ["To", destinationInWords(spec.destination)]];
}

const linkToJob = (id) => h("a", { href: `#/jobs/${encodeURIComponent(id)}` }, id);

const modelName = ({ model, revision }) => (revision === null ? model : `${model} @ ${revision}`);

const teacherName = (teacher) =>
  teacher.endpoint ? `${teacher.served_model ?? teacher.model} on ${teacher.endpoint}` : modelName(teacher);

/** Totals and last values of the training; empty before the first update. */
export function figures(data) {
  if (data.metrics.update.length === 0) return h("p", { class: "note" }, "No update has been recorded yet.");
  const seconds = (name) => (data.sumOf(name) === null ? null : duration(data.sumOf(name)));
  const [least, most] = [data.smallestOf("gate/min"), data.largestOf("gate/max")];
  const skipped = data.sumOf("train/skipped");
  const truncated = data.lastOf("rollout/fraction_truncated");
  return definitions([
    ["Tokens sampled", data.lastOf("train/total_tokens") === null ? null : integer(data.lastOf("train/total_tokens"))],
    ["Sampling", seconds("rollout/seconds")],
    ["Scoring", seconds("score/seconds")],
    ["Updates", seconds("train/update_seconds")],
    ["Responses cut off", truncated === null ? null : percent(truncated)],
    ["Gate weights", least === null ? null : `${number(least)} to ${number(most)}`],
    ["Smallest effective sample size", data.finiteOf("gate/effective_sample_size") === null ? null
      : data.smallestOf("gate/effective_sample_size").toFixed(4)],
    ["Updates skipped", skipped ? integer(skipped) : null],
  ], "figures-list");
}

export function failureBox(failure) {
  if (failure === null) return null;
  return h("div", { class: "box failure", role: "group", "aria-label": "Failure" },
    h("p", {}, h("strong", {}, "Failed: "), h("code", {}, failure.code)),
    h("p", { class: "message" }, failure.message),
    failure.violations.length === 0 ? null : h("ul", {}, failure.violations.map(({ field, given, allowed }) =>
      h("li", {}, h("code", {}, field), ` is ${given}; allowed: ${allowed}`))));
}

export function warningsBox(warnings) {
  if (warnings.length === 0) return null;
  return h("div", { class: "box warning", role: "group", "aria-label": "Warnings" },
    h("p", {}, h("strong", {}, plural(warnings.length, "warning"))),
    h("ul", {}, warnings.map(({ field, message }) => h("li", {}, h("code", {}, field), ` ${message}`))));
}

/** Newest first. */
export function eventList(events) {
  if (events.length === 0) return h("p", { class: "note" }, "None yet.");
  const shown = events.slice(-MAX_EVENTS_SHOWN).toReversed();
  return [
    h("ol", { class: "events", reversed: true }, shown.map((event) => h("li", {},
      h("time", { datetime: event.at, title: dateAndTime(event.at) }, clock(new Date(event.at))),
      h("span", { class: `state state-${event.state}` }, event.state),
      h("span", {}, event.message || event.type.replaceAll("_", " "))))),
    shown.length < events.length ? h("p", { class: "note" }, `${integer(events.length - shown.length)} older events are not shown.`) : null,
  ];
}

export function checkpointList(answer) {
  if (answer === null || answer.checkpoints.length === 0) return h("p", { class: "note" }, "None saved yet.");
  return h("ul", { class: "checkpoints" }, answer.checkpoints.map((one) => h("li", {},
    h("strong", {}, `step ${integer(one.step)}`), one.final ? h("span", { class: "tag" }, "final") : null,
    h("span", { class: "note" }, `${bytes(one.size_bytes)}, ${dateAndTime(one.created_at)}`),
    h("code", { class: "path" }, one.uri))));
}
