// What another gate would have done to a job's updates. Only when asked for: the server reads the drift of every kept token.

import { simulateGate } from "./api.js";
import { h } from "./elements.js";
import { gateInWords, integer, number, percent } from "./words.js";

const UNITS = { token: "token", block: "block", newline_span: "newline span", sequence: "whole sequence" };
const KERNELS = { exp: "exp", reciprocal: "reciprocal", hard: "hard", ratio: "ratio" };

/** A form and its answer; update(gate) gives it the job's own gate to begin with. */
export function gateWhatIf(jobId) {
  const unit = h("select", { onchange: showFields }, optionsOf(UNITS));
  const blockSize = h("input", { type: "number", min: 1, step: 1 });
  const kernel = h("select", {}, optionsOf(KERNELS));
  const strength = h("input", { type: "number", min: 0, step: "any" });
  const adaptive = h("input", { type: "number", min: 0, step: "any" });
  const ofBlocks = h("label", {}, "Tokens a block", blockSize);
  const form = h("form", { class: "gate-form", "aria-label": "A gate to try", onsubmit: (event) => {
    event.preventDefault();
    return ask();
  } },
  h("label", {}, "Unit", unit), ofBlocks, h("label", {}, "Kernel", kernel),
  h("label", {}, "Strength τ", strength), h("label", {}, "or adaptive, c", adaptive), h("button", {}, "Try this gate"));
  const refusal = h("p", { class: "note", role: "alert" });
  const answer = h("div", { class: "gate-answer", role: "status" });
  let isSet = false;
  let numAsked = 0;

  function showFields() {
    ofBlocks.hidden = unit.value !== "block";
  }

  async function ask() {
    numAsked += 1;
    const number = numAsked;
    const fields = {
      granularity: unit.value, block_size: unit.value === "block" ? blockSize.value : "",
      kernel: kernel.value, strength: strength.value, adaptive: adaptive.value,
    };
    const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
    const [shown, refused] = await simulateGate(jobId, given, new AbortController().signal)
      .then((simulation) => [simulated(simulation, tryStrength), ""], (error) => [[], error.message]);
    if (number !== numAsked) return; // asked for another one meanwhile
    answer.replaceChildren(...shown);
    refusal.textContent = refused;
  }

  function tryStrength(value) {
    [strength.value, adaptive.value] = [value, ""];
    return ask();
  }

  function update(gate) {
    if (isSet) return; // what a person has chosen stays
    isSet = true;
    unit.value = gate.granularity in UNITS ? gate.granularity : "block";
    kernel.value = gate.kernel;
    blockSize.value = gate.block_size;
    const field = typeof gate.strength === "object" ? adaptive : strength;
    field.value = gate.strength.adaptive ?? gate.strength;
    showFields();
  }

  return { element: h("div", {}, form, refusal, answer), update };
}

const optionsOf = (names) => Object.entries(names).map(([value, name]) => h("option", { value }, name));

/** The parts of the answer; tryStrength(τ) puts a strength into the form and asks again. */
function simulated(simulation, tryStrength) {
  const { gate, overall, by_reuse_depth: byDepth, updates, suggested_strength: suggested } = simulation;
  const rows = [...byDepth.map((one) => [integer(one.reuse_depth), one.num_updates, one]), ["all", updates.length, overall]];
  const parts = [
    h("p", { class: "gate-verdict" }, `${gateInWords(gate)}: ${overall.inert ? "inert" : "acts"}, moves ${percent(overall.share_of_loss_moved)} of the loss`),
    h("div", { class: "scrolls" }, h("table", { class: "numbers" },
      h("caption", { class: "visually-hidden" }, "What the gate would have done, by reuse depth"),
      h("thead", {}, h("tr", {}, ["reuse depth", "updates", "tokens", "std", "least weight", "largest", "effective sample size", "loss moved", "effect"]
        .map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map(([name, numUpdates, effect]) => h("tr", {}, h("th", { scope: "row" }, name),
        [integer(numUpdates), integer(effect.num_tokens), number(effect.gate_std), effect.gate_min.toFixed(4), effect.gate_max.toFixed(4),
          effect.effective_sample_size.toFixed(4), percent(effect.share_of_loss_moved), effect.inert ? "inert" : "acts"]
          .map((text) => h("td", {}, text))))))),
    h("p", { class: "note" }, `Inert: less than ${percent(simulation.inert_below)} of the loss is moved.`),
    suggested && suggestion(suggested, tryStrength),
    ...simulation.notes.map((note) => h("p", { class: "note" }, note)),
  ];
  return parts.filter((part) => part !== null);
}

function suggestion({ strength, adaptive, median_drift_nats: drift, median_unit_gate: gate }, tryStrength) {
  const rounded = Number(strength.toPrecision(3));
  return h("p", { class: "suggestion" },
    `After the first update of a step the median unit has drifted by ${number(drift)} nats. With τ = ${number(rounded)}, or adaptive ${number(adaptive)}, `
    + `its gate would be ${gate.toFixed(2)}. `,
    h("button", { class: "quiet", type: "button", onclick: () => tryStrength(rounded) }, `Try τ = ${number(rounded)}`));
}
