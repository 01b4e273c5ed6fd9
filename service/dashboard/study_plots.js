// Arms with their seeds as dots over the interval of their mean; differences with their intervals over zero.

import { drawAtWidth, scale, ticks } from "./charts.js";
import { svg } from "./elements.js";
import { number, signed } from "./words.js";

const ROW_PX = 34;
const NARROW_PX = 560; // below it a label stands above its row
const LABEL_PX = 14;
const BOTTOM_PX = 26;
const RIGHT_PX = 18;
const CHARACTER_PX = 7.2;

/** A plot of rows: { label, isStrong, low, high, middle, dots: [{ value, isCollapsed, title }], title }. */
function rowPlot(label, { holdsZero, say }) {
  const plot = svg("svg", { class: "plot seed-plot", role: "img", "aria-label": label });
  let rows = [];

  function draw(width) {
    const values = rows.flatMap(({ low, high, middle, dots }) => [low, high, middle, ...dots.map(({ value }) => value)])
      .filter(Number.isFinite);
    if (holdsZero) values.push(0);
    if (values.length === 0) return plot.replaceChildren();
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const pad = 0.06 * (most - least) || 0.05;
    const isNarrow = width < NARROW_PX;
    const longest = Math.max(...rows.map((row) => row.label.length));
    const left = isNarrow ? 14 : Math.min(width * 0.4, 24 + CHARACTER_PX * longest);
    const rowPx = ROW_PX + (isNarrow ? LABEL_PX : 0);
    const x = scale(least - pad, most + pad, left, width - RIGHT_PX);
    const bottom = rows.length * rowPx + 4;
    const shown = ticks(least - pad, most + pad, Math.max(2, Math.floor((width - left) / 90)));
    plot.setAttribute("height", bottom + BOTTOM_PX);
    plot.replaceChildren(
      ...shown.flatMap((value) => [
        svg("line", { x1: x(value), x2: x(value), y1: 0, y2: bottom, class: "grid" }),
        svg("text", { x: x(value), y: bottom + 17, class: "tick", "text-anchor": "middle" }, number(Number(value.toPrecision(6)))),
      ]),
      ...(holdsZero ? [svg("line", { x1: x(0), x2: x(0), y1: 0, y2: bottom, class: "zero" })] : []),
      ...rows.map((row, i) => {
        const y = (i + 1) * rowPx - ROW_PX / 2 + 2;
        return drawRow(row, { x, y, label: isNarrow ? { x: 0, y: y - LABEL_PX - 2 } : { x: left - 12, y: y + 4, "text-anchor": "end" } });
      }),
    );
    return undefined;
  }

  function drawRow(row, { x, y, label: place }) {
    const hasInterval = Number.isFinite(row.low) && Number.isFinite(row.high);
    return svg("g", { class: row.isStrong ? "row strong" : "row" },
      svg("title", {}, row.title),
      svg("text", { ...place, class: "row-label" }, row.label),
      hasInterval ? svg("g", { class: "interval-line" },
        svg("line", { x1: x(row.low), x2: x(row.high), y1: y, y2: y }),
        svg("line", { x1: x(row.low), x2: x(row.low), y1: y - 5, y2: y + 5 }),
        svg("line", { x1: x(row.high), x2: x(row.high), y1: y - 5, y2: y + 5 })) : null,
      spread(row.dots, x).map(({ dot, at, level }) => (dot.isCollapsed
        ? svg("path", { class: "seed collapsed", d: triangle(at, y + level) }, svg("title", {}, dot.title))
        : svg("circle", { class: "seed", cx: at, cy: y + level, r: 4 }, svg("title", {}, dot.title)))),
      Number.isFinite(row.middle) ? svg("line", { class: "mean", x1: x(row.middle), x2: x(row.middle), y1: y - 9, y2: y + 9 }) : null);
  }

  drawAtWidth(plot, draw);
  return {
    element: plot,
    update(next) {
      rows = next;
      plot.setAttribute("aria-label", `${label}. ${rows.map((row) => say(row)).join("; ")}`);
      if (plot.clientWidth) draw(plot.clientWidth);
    },
  };
}

/** Seeds of each arm of one metric. */
export const seedPlot = (label) => rowPlot(label, {
  holdsZero: false,
  say: ({ label: arm, middle }) => `${arm} ${number(middle)}`,
});

/** Differences between arms. */
export const differencePlot = (label) => rowPlot(label, {
  holdsZero: true,
  say: ({ label: pair, middle }) => `${pair} ${signed(middle)}`,
});

const triangle = (x, y) => `M${x - 5} ${y - 4}L${x + 5} ${y - 4}L${x} ${y + 5}Z`;

// Dots that would lie on each other are moved up and down in turns.
function spread(dots, x) {
  const placed = [];
  for (const dot of [...dots].sort((a, b) => a.value - b.value)) {
    const at = x(dot.value);
    const near = placed.filter((other) => Math.abs(other.at - at) < 8);
    const level = [0, -7, 7, -11, 11].find((one) => near.every((other) => other.level !== one)) ?? 0;
    placed.push({ dot, at, level });
  }
  return placed;
}
