// The drift map: mean drift of the sampled tokens, response position down, update across.

import { MARGIN, drawAtWidth, indexFromKey, listenForCursor, scale, ticks, updateAxis } from "./charts.js";
import { h, svg } from "./elements.js";
import { integer, number, plural } from "./words.js";

const MAX_HEIGHT_PX = 340;
const ROW_PX = 26;
const LEFT_PX = 58;

// By the element of each map: one listener for all, which keeps none of them alive.
const redraws = new WeakMap();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const frame of document.querySelectorAll(".drift-map")) redraws.get(frame)();
});

/** update(map): a DriftMap of the API, or null where nothing is recorded. */
export function driftMap() {
  const canvas = h("canvas", { tabindex: 0, role: "img" });
  const axes = svg("svg", { class: "plot", "aria-hidden": "true" });
  const frame = h("div", { class: "heat" }, canvas, axes);
  const readout = h("output", { class: "readout" });
  const legend = h("div", { class: "heat-legend" });
  const figure = h("figure", { class: "chart" },
    h("figcaption", {}, h("span", { class: "chart-title" }, "Mean drift d", h("span", { class: "unit" }, " nats")), readout),
    frame, legend);
  const nothing = h("p", { class: "note" }, "No update has been recorded yet.");
  const element = h("div", { class: "drift-map" }, nothing, figure);
  const cursor = svg("rect", { class: "cell-cursor", visibility: "hidden" });
  let map = null;
  let place = null;
  let cell = null; // { row, block }

  function draw(width) {
    const isEmpty = map === null || map.update.length === 0;
    figure.hidden = isEmpty;
    nothing.hidden = !isEmpty;
    if (isEmpty) return;
    const numBlocks = Math.max(...map.mean_drift_nats.map((row) => row.length));
    const bottom = MARGIN.top + Math.min(MAX_HEIGHT_PX, Math.max(90, numBlocks * ROW_PX));
    const height = bottom + MARGIN.bottom;
    const edges = columnEdges(map.update);
    const x = scale(edges[0], edges.at(-1), LEFT_PX, width - MARGIN.right);
    const y = scale(0, numBlocks, MARGIN.top, bottom);
    const { limit, isCut } = colourLimit(map);
    place = { x, y, edges, numBlocks, bottom, width };

    paint({ canvas, map, place, width, height, limit });
    axes.setAttribute("height", height);
    axes.replaceChildren(...positionAxis(map.block_size, numBlocks, y),
      ...updateAxis({ low: map.update[0], high: map.update.at(-1), x, bottom, width }).flat(), cursor);
    legend.replaceChildren(...legendOf(limit, isCut));
    canvas.setAttribute("aria-label",
      `Drift map: ${plural(map.update.length, "update")} by ${plural(numBlocks, "block")} of ${map.block_size} tokens, `
      + `colours from −${number(limit)} to +${number(limit)} nats. Arrow keys read values.`);
    show(cell);
  }

  function show(next) {
    cell = next !== null && place !== null && next.row < map.update.length ? next : null;
    cursor.setAttribute("visibility", cell === null ? "hidden" : "visible");
    if (cell === null) {
      readout.textContent = "";
      return;
    }
    const { row, block } = cell;
    const { x, y, edges } = place;
    const box = { x: x(edges[row]), y: y(block), width: x(edges[row + 1]) - x(edges[row]), height: y(block + 1) - y(block) };
    for (const [name, value] of Object.entries(box)) cursor.setAttribute(name, value);
    const size = map.block_size;
    const drift = map.mean_drift_nats[row][block] ?? null;
    const head = `update ${integer(map.update[row])}, positions ${integer(block * size)}–${integer((block + 1) * size - 1)}: `;
    const text = drift === null ? `${head}no tokens` : `${head}${drift > 0 ? "+" : ""}${number(drift)} `
      + `(mean |d| ${number(map.mean_abs_drift_nats[row][block])}, ${plural(map.num_tokens[row][block], "token")})`;
    if (readout.textContent !== text) readout.textContent = text;
  }

  listenForCursor(canvas, {
    fromPointer: (event) => {
      const box = canvas.getBoundingClientRect();
      const [left, top] = [event.clientX - box.left, event.clientY - box.top];
      const row = place.edges.findLastIndex((edge) => place.x(edge) <= left);
      const block = Math.floor(((top - MARGIN.top) / (place.bottom - MARGIN.top)) * place.numBlocks);
      const isInside = row >= 0 && row < map.update.length && block >= 0 && block < place.numBlocks;
      return isInside ? { row, block } : null;
    },
    fromKey: (key, stride) => {
      const { row, block } = cell ?? { row: map.update.length - 1, block: 0 };
      if (key === "ArrowDown") return { row, block: Math.min(place.numBlocks - 1, block + stride) };
      if (key === "ArrowUp") return { row, block: Math.max(0, block - stride) };
      const next = indexFromKey(key, row, stride, map.update.length);
      return next === null ? null : { row: next, block };
    },
    set: show,
  });
  drawAtWidth(element, draw);
  redraws.set(element, () => draw(element.clientWidth));

  return {
    element,
    update(next) {
      map = next;
      if (element.clientWidth) draw(element.clientWidth);
    },
  };
}

// Rows may be thinned, so a row reaches half-way to its neighbours.
function columnEdges(update) {
  const between = update.slice(1).map((value, i) => (value + update[i]) / 2);
  const first = between.length ? 2 * update[0] - between[0] : update[0] - 0.5;
  const last = between.length ? 2 * update.at(-1) - between.at(-1) : update[0] + 0.5;
  return [first, ...between, last];
}

// The |d| below which 99 % of the drifted tokens lie: a block of few tokens must not bleach all others.
function colourLimit({ mean_drift_nats: rows, num_tokens: counts }) {
  const cells = rows.flatMap((row, i) => row.map((value, block) => ({ size: Math.abs(value), tokens: counts[i][block] })))
    .filter(({ size, tokens }) => size > 0 && Number.isFinite(size) && tokens > 0).sort((a, b) => a.size - b.size);
  const enough = 0.99 * cells.reduce((sum, { tokens }) => sum + tokens, 0);
  let below = 0;
  const last = cells.find(({ tokens }) => (below += tokens) >= enough);
  return { limit: last?.size ?? 0, isCut: last !== cells.at(-1) };
}

function paint({ canvas, map, place, width, height, limit }) {
  const { x, edges, numBlocks, bottom } = place;
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.scale(ratio, ratio);
  hatch(context, { left: LEFT_PX, top: MARGIN.top, right: width - MARGIN.right, bottom });
  const colour = colours(limit);
  const strip = new OffscreenCanvas(1, numBlocks);
  const stripContext = strip.getContext("2d");
  map.mean_drift_nats.forEach((row, i) => {
    const image = stripContext.createImageData(1, numBlocks);
    row.forEach((value, block) => {
      if (value !== null && !Number.isNaN(value)) image.data.set([...colour(value), 255], 4 * block);
    });
    stripContext.putImageData(image, 0, 0);
    // Whole device pixels: fractions would leave seams between columns.
    const left = Math.round(x(edges[i]) * ratio) / ratio;
    const right = Math.round(x(edges[i + 1]) * ratio) / ratio;
    context.drawImage(strip, left, MARGIN.top, Math.max(right - left, 1 / ratio), bottom - MARGIN.top);
  });
}

// What no response reached stays hatched: zero drift has a colour of its own.
function hatch(context, { left, top, right, bottom }) {
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  context.strokeStyle = cssColour("--hatch");
  context.lineWidth = 1;
  context.beginPath();
  for (let at = left - (bottom - top); at < right; at += 7) {
    context.moveTo(at, bottom);
    context.lineTo(at + bottom - top, top);
  }
  context.stroke();
  context.restore();
}

const cssColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// `#rrggbb` custom properties, mixed linearly from the middle to either end.
function colours(limit) {
  const [low, zero, high] = ["--drift-low", "--drift-zero", "--drift-high"].map((name) =>
    [1, 3, 5].map((at) => parseInt(cssColour(name).slice(at, at + 2), 16)));
  return (value) => {
    const end = value < 0 ? low : high;
    const share = limit === 0 ? 0 : Math.min(1, Math.abs(value) / limit);
    return zero.map((part, i) => Math.round(part + share * (end[i] - part)));
  };
}

function positionAxis(blockSize, numBlocks, y) {
  return ticks(0, numBlocks, 6, 1).map((block) =>
    svg("text", { x: LEFT_PX - 6, y: y(block) + 4, class: "tick", "text-anchor": "end" }, integer(block * blockSize)));
}

function legendOf(limit, isCut) {
  if (limit === 0) return [h("span", {}, "No drift: every mean is exactly 0 nats.")];
  return [
    h("span", { class: "legend-item" }, `${isCut ? "≤ " : ""}−${number(limit)}`,
      h("span", { class: "ramp", "aria-hidden": "true" }), `${isCut ? "≥ " : ""}+${number(limit)} nats`),
    h("span", { class: "legend-item" }, h("span", { class: "hatched", "aria-hidden": "true" }), "no tokens"),
    h("span", { class: "legend-item" }, "down: response position, tokens"),
  ];
}
