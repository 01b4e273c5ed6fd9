// How near the gradients of reused batches stayed to fresh ones: a row a way to weigh them, a column a reuse depth.

import { h } from "./elements.js";
import { plural, signed } from "./words.js";

const HALVES = "fresh: half and half";

/** measurements: a GradientFidelity's, some. */
export function gradientTable(measurements) {
  const steps = ascending(measurements.map(({ step }) => step));
  const depths = ascending(measurements.map(({ depth }) => depth));
  const weightings = [...new Set(measurements.flatMap((one) => one.weightings.map(({ weighting }) => weighting)))];
  const cells = (cosineOf) => depths.map((depth) =>
    h("td", {}, mean(measurements.filter((one) => one.depth === depth).map(cosineOf))));
  const row = (name, cosineOf) => h("tr", {}, h("th", { scope: "row" }, name), cells(cosineOf));
  return [
    h("p", { class: "note" }, "Cosine of each gradient of a reused batch with the full-vocabulary reverse-KL gradient on fresh responses, "
      + `mean over ${steps.length === 1 ? "step" : "steps"} ${steps.join(", ")}.`),
    h("div", { class: "scrolls" }, h("table", { class: "numbers" },
      h("caption", { class: "visually-hidden" }, "Cosines with the fresh gradient, by reuse depth"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "weighting"),
        depths.map((depth) => h("th", { scope: "col" }, `after ${plural(depth, "update")}`)))),
      h("tbody", {},
        weightings.map((name) => row(name, (one) => one.weightings.find(({ weighting }) => weighting === name)?.cosine ?? null)),
        row(HALVES, (one) => one.half_cosine)))),
    h("p", { class: "note" }, "The last row is the cosine r between the two halves of the fresh responses. Another fresh gradient of the same size would have "
      + "about 2r / (1 + r): what is near that cannot be told from it."),
  ];
}

const ascending = (numbers) => [...new Set(numbers)].sort((a, b) => a - b);

/** Over those that there are. */
function mean(cosines) {
  const known = cosines.filter((cosine) => cosine !== null);
  return known.length ? signed(known.reduce((sum, one) => sum + one) / known.length) : "–";
}
