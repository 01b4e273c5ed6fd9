// Line charts by update and interval plots, drawn as SVG at the size of their place.

import { fill, h, svg } from "./elements.js";
import { exponential, integer, number, probability } from "./words.js";

export const MARGIN = { left: 46, right: 10, top: 8, bottom: 22 };
const LINE_HEIGHT_PX = 168;

/** Round numbers inside [low, high], about `count` of them. */
export function ticks(low, high, count, smallestStep = 0) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(smallestStep, power * [1, 2, 5, 10].find((factor) => factor * power >= rough));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

function tickLabel(value, step) {
  if (Math.abs(value) < step / 1e6) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || step < 1e-4) return exponential(value, 2).replace(/^-/, "−");
  const decimals = Math.min(6, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  return value.toFixed(decimals).replace("-", "−");
}

export const scale = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);

/** Calls `draw` with the width of `element` now and whenever it changes. */
export function drawAtWidth(element, draw) {
  let width = 0;
  new ResizeObserver(([entry]) => {
    const next = Math.round(entry.contentRect.width);
    if (next === width || next === 0) return;
    width = next;
    draw(width);
  }).observe(element);
}

/** The horizontal axis of updates below a plot of this size. */
export function updateAxis({ low, high, x, bottom, width }) {
  const labels = ticks(low, high, Math.max(2, Math.floor(width / 65)), 1)
    .filter((value) => x(value) < width - 80)
    .map((value) => svg("text", { x: x(value), y: bottom + 15, class: "tick", "text-anchor": "middle" }, integer(value)));
  return [
    svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom, class: "axis" }),
    labels,
    svg("text", { x: width - MARGIN.right, y: bottom + 15, class: "tick", "text-anchor": "end" }, "update →"),
  ];
}

/** Moves a cursor by keys or pointer: `move(event)` gives the place, `set(place | null)` shows it. */
export function listenForCursor(element, { fromPointer, fromKey, set }) {
  element.addEventListener("pointermove", (event) => set(fromPointer(event)));
  element.addEventListener("pointerdown", (event) => set(fromPointer(event)));
  element.addEventListener("pointerleave", () => set(null));
  element.addEventListener("blur", () => set(null));
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return set(null);
    const place = fromKey(event.key, event.shiftKey ? 10 : 1);
    if (place === null) return undefined;
    event.preventDefault();
    return set(place);
  });
}

/** The index that an arrow, Home or End key leads to from `index`; null for any other key. */
export function indexFromKey(key, index, stride, count) {
  const moves = { ArrowLeft: (index ?? count) - stride, ArrowRight: (index ?? -1) + stride, Home: 0, End: count - 1 };
  return key in moves ? Math.min(count - 1, Math.max(0, moves[key])) : null;
}

/**
 * A line over updates with gaps where the value is null, NaN or infinite.
 *
 * update(data): { update, step, values } or null where nothing is recorded. setCursor(update | null).
 * `fromZero` puts 0 on the axis; `smallestTop` keeps tiny values from filling the plot.
 */
export function lineChart({ title, unit, fromZero = false, smallestTop = 0, empty, onCursor }) {
  const plot = svg("svg", { class: "plot", tabindex: 0, role: "img", height: LINE_HEIGHT_PX });
  const readout = h("output", { class: "readout" });
  const heading = h("span", { class: "chart-title" }, title, unit && h("span", { class: "unit" }, ` ${unit}`));
  const element = h("figure", { class: "chart" }, h("figcaption", {}, heading, readout), plot);
  const cursor = svg("g", { class: "cursor" });
  let data = null;
  let index = null;
  let place = null; // { x, y } scales of the last drawing

  const say = (i) => fill(readout, [i, i === null ? null : data.update[i], data.values.at(i ?? -1)], () => (i === null
    ? `last ${number(data.values.findLast((value) => value !== null))}`
    : [h("span", { class: "visually-hidden" }, `${placeInWords(data, i)}: `), number(data.values[i])]));

  function drawNothing(width, reason) {
    plot.replaceChildren(svg("text", { x: width / 2, y: LINE_HEIGHT_PX / 2, class: "none", "text-anchor": "middle" }, reason));
    plot.setAttribute("aria-label", `${title}: ${reason}`);
    fill(readout, "", (text) => text);
    place = null;
  }

  function draw(width) {
    if (data === null) return drawNothing(width, empty);
    const seen = data.values.filter(Number.isFinite);
    if (seen.length === 0) return drawNothing(width, "no finite value");
    const [least, most] = seen.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    const pad = 0.06 * (most - least) || Math.abs(most) * 0.1 || 0.1;
    const low = fromZero ? Math.min(0, least) : least - pad;
    const high = Math.max(fromZero ? most * 1.06 : most + pad, smallestTop, low + 1e-12);
    const bottom = LINE_HEIGHT_PX - MARGIN.bottom;
    const [first, last] = [data.update[0], data.update.at(-1)];
    const x = scale(first === last ? first - 1 : first, last, MARGIN.left, width - MARGIN.right);
    const y = scale(low, high, bottom, MARGIN.top);
    const yTicks = ticks(low, high, 4);
    const step = yTicks.length > 1 ? yTicks[1] - yTicks[0] : 1;
    place = { x, y, width };
    plot.replaceChildren(
      ...yTicks.flatMap((value) => [
        svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value), class: "grid" }),
        svg("text", { x: MARGIN.left - 6, y: y(value) + 4, class: "tick", "text-anchor": "end" }, tickLabel(value, step)),
      ]),
      ...updateAxis({ low: first, high: last, x, bottom, width }).flat(),
      svg("path", { class: "line each", d: linePath(data, x, y) }),
      svg("path", { class: "line", d: linePath(stepMeans(data), x, y) }),
      cursor,
    );
    plot.setAttribute("aria-label", `${title} by update, ${integer(first)} to ${integer(last)}${unit ? `, ${unit}` : ""}: `
      + `smallest ${number(least)}, largest ${number(most)}, last ${number(seen.at(-1))}. Arrow keys read values.`);
    return show(index);
  }

  function show(i) {
    index = i !== null && data !== null && i < data.update.length ? i : null;
    cursor.replaceChildren();
    if (data === null || place === null) return;
    say(index);
    if (index === null) return;
    const at = place.x(data.update[index]);
    const value = data.values[index];
    cursor.append(svg("line", { x1: at, x2: at, y1: MARGIN.top, y2: LINE_HEIGHT_PX - MARGIN.bottom }));
    const side = at > place.width / 2 ? -1 : 1;
    cursor.append(svg("text", { x: at + 5 * side, y: MARGIN.top + 8, "text-anchor": side < 0 ? "end" : "start" },
      placeInWords(data, index)));
    if (Number.isFinite(value)) cursor.append(svg("circle", { cx: at, cy: place.y(value), r: 3.5 }));
  }

  listenForCursor(plot, {
    fromPointer: (event) => {
      if (place === null) return null;
      const target = event.clientX - plot.getBoundingClientRect().left;
      return data.update[nearest(data.update, (update) => place.x(update) - target)];
    },
    fromKey: (key, stride) => {
      if (place === null) return null;
      const next = indexFromKey(key, index, stride, data.update.length);
      return next === null ? null : data.update[next];
    },
    set: onCursor,
  });
  drawAtWidth(plot, draw);

  return {
    element,
    update(next) {
      data = next;
      if (plot.clientWidth) draw(plot.clientWidth);
    },
    setCursor(update) {
      const i = update === null || data === null ? -1 : data.update.indexOf(update);
      show(i < 0 ? null : i);
    },
  };
}

const placeInWords = ({ update, step }, i) => `update ${integer(update[i])}, step ${integer(step[i])}`;

// The sorted list's place nearest to zero of `distance`, by bisection.
function nearest(sorted, distance) {
  let [low, high] = [0, sorted.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (distance(sorted[middle]) < 0) low = middle;
    else high = middle;
  }
  return Math.abs(distance(sorted[low])) <= Math.abs(distance(sorted[high])) ? low : high;
}

// One value a step, at the middle of its updates: within a step the drift grows from 0 each time.
function stepMeans({ update, step, values }) {
  const means = { update: [], values: [] };
  for (let first = 0, end; first < step.length; first = end) {
    for (end = first; end < step.length && step[end] === step[first]; end += 1);
    const seen = values.slice(first, end).filter(Number.isFinite);
    means.update.push((update[first] + update[end - 1]) / 2);
    means.values.push(seen.length ? seen.reduce((sum, value) => sum + value, 0) / seen.length : null);
  }
  return means;
}

// More points than pixels: each pixel keeps its least and its largest, so that no spike is lost.
function linePath({ update, values }, x, y) {
  const points = [];
  let pixel = null;
  for (let i = 0; i < values.length; i += 1) {
    if (!Number.isFinite(values[i])) {
      points.push(null);
      pixel = null;
      continue;
    }
    const at = Math.round(x(update[i]) * 2) / 2;
    if (pixel === null || at !== pixel.at) {
      pixel = { at, low: values[i], high: values[i] };
      points.push(pixel);
    } else {
      pixel.low = Math.min(pixel.low, values[i]);
      pixel.high = Math.max(pixel.high, values[i]);
    }
  }
  let path = "";
  points.forEach((point, i) => {
    if (point === null) return;
    const isStart = i === 0 || points[i - 1] === null;
    // A start draws a line to itself too: with round caps a value between two gaps is a dot.
    path += `${isStart ? `M${point.at} ${y(point.low).toFixed(1)}` : ""}L${point.at} ${y(point.low).toFixed(1)}`;
    if (point.high > point.low) path += `L${point.at} ${y(point.high).toFixed(1)}`;
  });
  return path;
}

const MARKS = {
  baseline: (x, y) => svg("circle", { cx: x, cy: y, r: 4 }),
  final: (x, y) => svg("circle", { cx: x, cy: y, r: 4.5 }),
  model: (x, y) => svg("circle", { cx: x, cy: y, r: 4.5 }),
  teacher: (x, y) => svg("path", { d: `M${x} ${y - 5}L${x + 5} ${y}L${x} ${y + 5}L${x - 5} ${y}Z` }),
};
const ROW_PX = 20;
const GROUP_GAP_PX = 18;

/** The shape that stands for one stage, for legends. */
export const stageMark = (stage) =>
  svg("svg", { width: 14, height: 12, "aria-hidden": "true", class: `mark stage-${stage}` }, MARKS[stage](7, 6));

/** Probabilities as marks with whiskers on 0…1; groups: [{ label, marks: [{ stage, estimate, low, high }] }]. */
export function intervalPlot(label) {
  const plot = svg("svg", { class: "plot interval-plot", role: "img", "aria-label": label });
  let groups = [];

  function draw(width) {
    const left = 66;
    const x = scale(0, 1, left, width - 14);
    let y = 6;
    const rows = groups.flatMap((group) => {
      const top = y;
      const marks = group.marks.map(({ stage, estimate, low, high }) => {
        y += ROW_PX;
        const middle = y - ROW_PX / 2;
        return svg("g", { class: `mark stage-${stage}` },
          svg("title", {}, `${group.label} ${stage}: ${probability(estimate)} [${probability(low)}, ${probability(high)}]`),
          svg("line", { x1: x(low), x2: x(high), y1: middle, y2: middle }),
          svg("line", { x1: x(low), x2: x(low), y1: middle - 4, y2: middle + 4 }),
          svg("line", { x1: x(high), x2: x(high), y1: middle - 4, y2: middle + 4 }),
          MARKS[stage](x(estimate), middle));
      });
      const name = svg("text", { x: left - 12, y: (top + y) / 2 + 4, class: "row-label", "text-anchor": "end" }, group.label);
      y += GROUP_GAP_PX;
      return [name, ...marks];
    });
    const bottom = y - GROUP_GAP_PX / 2;
    plot.setAttribute("height", bottom + 22);
    plot.replaceChildren(
      ...[0, 0.25, 0.5, 0.75, 1].flatMap((value) => [
        svg("line", { x1: x(value), x2: x(value), y1: 0, y2: bottom, class: "grid" }),
        svg("text", { x: x(value), y: bottom + 16, class: "tick", "text-anchor": "middle" }, String(value)),
      ]), ...rows);
  }

  drawAtWidth(plot, draw);
  return {
    element: plot,
    update(next) {
      groups = next;
      if (plot.clientWidth) draw(plot.clientWidth);
    },
  };
}
