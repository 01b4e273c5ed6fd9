// pass@k of one job: marks with whiskers, a table, and the paired difference.

import { intervalPlot, stageMark } from "./charts.js";
import { fill, h } from "./elements.js";
import { integer, number, percent, plural, probability, signed } from "./words.js";

const STAGES = { baseline: "before", final: "after", teacher: "teacher" };

/** update(results | null, job): `results` is a JobResults of the API. */
export function resultsView() {
  const element = h("div", { class: "results" });
  return { element, update: (results, job) => fill(element, [results, job.state, job.spec.evaluation], () => build(results, job)) };
}

function build(results, job) {
  if (job.spec.evaluation.benchmarks.length === 0) {
    return h("p", { class: "empty" }, "This job's spec has no benchmark, so pass@k is not measured.");
  }
  if (results === null || results.evaluations.length === 0) {
    return h("p", { class: "empty" }, "No evaluation has finished yet.");
  }
  const names = [...new Set(results.evaluations.map((one) => one.benchmark))];
  const stages = Object.keys(STAGES).filter((stage) => results.evaluations.some((one) => one.stage === stage));
  const legend = h("p", { class: "legend" }, stages.map((stage) =>
    h("span", { class: "legend-item" }, stageMark(stage), STAGES[stage])), h("span", { class: "note" }, "whiskers: 95 % interval"));
  return [legend, names.map((name) => benchmark(name, results, stages)), h("p", { class: "note" }, results.note)];
}

function benchmark(name, results, stages) {
  const byStage = Object.fromEntries(
    results.evaluations.filter((one) => one.benchmark === name).map((one) => [one.stage, one]));
  const difference = results.differences.find((one) => one.benchmark === name);
  const [any] = Object.values(byStage);
  const ks = Object.keys(any.pass_at).sort((a, b) => a - b);
  const plot = intervalPlot(`pass@k on ${name} with 95 % intervals; the table has the same numbers`);
  plot.update(ks.map((k) => ({
    label: `pass@${k}`,
    marks: stages.filter((stage) => byStage[stage]).map((stage) => ({ stage, ...byStage[stage].pass_at[k] })),
  })));
  return h("div", { class: "benchmark" },
    h("h3", {}, name, h("span", { class: "note" },
      ` ${plural(any.num_problems, "problem")}, n = ${any.samples_per_problem}, temperature ${number(any.temperature)}, top-p ${number(any.top_p)}`)),
    h("div", { class: "result-pair" }, plot.element, table({ name, ks, stages, byStage, difference })));
}

function table({ name, ks, stages, byStage, difference }) {
  const cells = (build) => stages.map((stage) => h("td", {}, byStage[stage] ? build(byStage[stage]) : "–"));
  return h("table", { class: "numbers" },
    h("caption", { class: "visually-hidden" }, `pass@k on ${name}`),
    h("thead", {}, h("tr", {}, h("td"), stages.map((stage) => h("th", { scope: "col" }, STAGES[stage])),
      h("th", { scope: "col" }, "after − before"))),
    h("tbody", {},
      ks.map((k) => h("tr", {}, h("th", { scope: "row" }, `pass@${k}`),
        cells((one) => estimate(one.pass_at[k], probability)),
        h("td", {}, difference?.pass_at[k] ? changeOf(difference.pass_at[k]) : "–"))),
      h("tr", {}, h("th", { scope: "row" }, "no answer"), cells((one) => percent(one.fraction_no_answer)), h("td")),
      h("tr", {}, h("th", { scope: "row" }, "cut off"), cells((one) => percent(one.fraction_truncated)), h("td")),
      h("tr", {}, h("th", { scope: "row" }, "tokens"), cells((one) => integer(one.num_response_tokens)), h("td"))));
}

const estimate = ({ estimate: value, low, high }, say) => [
  h("span", { class: "estimate" }, say(value)), h("span", { class: "interval" }, `${say(low)} to ${say(high)}`),
];

function changeOf(change) {
  const hasZero = change.low <= 0 && change.high >= 0;
  return [estimate(change, signed), h("span", { class: `verdict ${hasZero ? "" : change.low > 0 ? "better" : "worse"}` },
    hasZero ? "interval holds zero" : "interval excludes zero")];
}
