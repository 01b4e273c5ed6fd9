// The line charts of a job and their common cursor.

import { lineChart } from "./charts.js";
import { fill, h } from "./elements.js";
import { gateVerdict } from "./words.js";

const CHARTS = [
  { metric: "train/loss", title: "Loss", unit: "nats" },
  { metric: "objective/teacher_log_ratio", title: "Reverse KL to the teacher", unit: "nats" },
  { metric: "train/gradient_norm", title: "Gradient norm, before clipping", unit: "", fromZero: true },
  { metric: "drift/mean_abs", title: "Drift, mean |d|", unit: "nats", fromZero: true },
  // An inert gate must look inert: its noise may not fill the plot.
  { metric: "gate/std", title: "Gate dispersion, std of the weights", unit: "", fromZero: true, smallestTop: 0.01 },
  { metric: "objective/clip_fraction", title: "Clipped tokens, fraction", unit: "", fromZero: true, smallestTop: 0.01,
    only: "sampled_token" },
  { metric: "objective/support_mass", title: "Student mass in teacher's top K", unit: "", only: "teacher_topk" },
];

/** update(data): draws a JobData. */
export function trainingCharts() {
  const verdict = h("p", { class: "gate-verdict" });
  const grid = h("div", { class: "charts" });
  const key = h("p", { class: "note" }, "Thin line: each update. Thick line: mean of each step. The first update of a step has no drift, and so a gate of 1.");
  const element = h("div", {}, verdict, key, grid);
  const charts = CHARTS.map((definition) => ({
    ...definition,
    chart: lineChart({ ...definition, empty: "not recorded", onCursor: (update) => {
      for (const { chart } of charts) chart.setCursor(update);
    } }),
  }));

  return {
    element,
    update(data) {
      element.hidden = data.metrics.update.length === 0;
      if (element.hidden) return;
      const { objective, gate } = data.job.spec;
      fill(grid, objective.type, () =>
        charts.filter(({ only }) => !only || only === objective.type).map(({ chart }) => chart.element));
      for (const { metric, chart } of charts) {
        const values = data.column(metric);
        chart.update(values && { update: data.metrics.update, step: data.metrics.step, values });
      }
      fill(verdict, gateVerdict(gate, data.largestOf("gate/std")), (text) => text);
    },
  };
}
