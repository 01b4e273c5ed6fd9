// Says the contract's values in words and numbers a person reads.

const TERMINAL = new Set(["succeeded", "failed", "cancelled"]);
const CANCELLABLE = new Set(["queued", "starting", "running", "pausing", "paused"]);
const PAUSABLE = new Set(["queued", "starting", "running"]);
const RESUMABLE = new Set(["pausing", "paused"]);

export const isTerminal = (state) => TERMINAL.has(state);
export const isCancellable = (state) => CANCELLABLE.has(state);
export const isPausable = (state) => PAUSABLE.has(state);
export const isResumable = (state) => RESUMABLE.has(state);
/** Whether the job may change without anyone asking. */
export const isMoving = (state) => !TERMINAL.has(state) && state !== "paused";

export const phaseInWords = (phase) => (phase ?? "").replaceAll("_", " ");
export const plural = (count, noun) => `${integer(count)} ${noun}${count === 1 ? "" : "s"}`;

export const integer = (value) => value.toLocaleString("en-US");

/** Three significant digits; exponents only where plain digits would be unreadable. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const text = size < 1e-4 || size >= 1e6 ? exponential(value, 2)
    : size >= 1000 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)));
  return text.replace("-", "−");
}

/** `2e-6` rather than `2.00e-6`. */
export function exponential(value, digits) {
  const [mantissa, exponent] = value.toExponential(digits).split("e");
  return `${Number(mantissa)}e${exponent.replace("+", "").replace("-", "−")}`;
}

export const probability = (value) => value.toFixed(3);
export const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
export const percent = (fraction) => {
  const value = 100 * fraction;
  return `${value !== 0 && Math.abs(value) < 10 ? Number(value.toPrecision(2)) : Math.round(value)} %`;
};

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), units.length - 1);
  return `${Number((count / 1000 ** power).toPrecision(3))} ${units[power]}`;
}

/** Seconds as `48 s`, `4 min 12 s`, `3 h 5 min`, `2 d 4 h`. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const [big, bigUnit, small, smallUnit] = whole < 3600
    ? [Math.floor(whole / 60), "min", whole % 60, "s"]
    : whole < 86_400
      ? [Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min"]
      : [Math.floor(whole / 86_400), "d", Math.floor((whole % 86_400) / 3600), "h"];
  return small ? `${big} ${bigUnit} ${small} ${smallUnit}` : `${big} ${bigUnit}`;
}

/** The largest unit only: `48 s`, `4 min`, `3 h`, `2 d`. */
export const age = (seconds) => duration(seconds).split(" ").slice(0, 2).join(" ");

export const clock = (date) => date.toLocaleTimeString("en-GB");
export const dateAndTime = (text) =>
  new Date(text).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });

const STAGES = { baseline: "before", final: "after", teacher: "teacher", model: "model" };
const STEP_STAGE = /^step-0*(\d+)$/;

export const stageInWords = (stage) => STAGES[stage] ?? stage.replace(STEP_STAGE, "step $1");
/** The step of a stage during training; null for the others. */
export const stepOfStage = (stage) => (STEP_STAGE.test(stage) ? Number(stage.match(STEP_STAGE)[1]) : null);

export const trains = (spec) => spec.kind === "distillation";

/** What a job does, in a few words. */
export function workInWords(spec) {
  if (spec.kind === "evaluation") return `evaluation of ${spec.model.model}`;
  if (spec.kind === "regrade") return `regrade of job ${spec.job_id}`;
  if (spec.kind === "export") return `export of job ${spec.job_id} to ${destinationInWords(spec.destination)}`;
  return objectiveInWords(spec.objective);
}

export const destinationInWords = (destination) =>
  destination.url ?? (destination.type === "hub" ? `hub ${destination.repo_id}` : `folder ${destination.path}`);

export function objectiveInWords(objective) {
  if (objective.type === "teacher_topk") return `teacher top-K, K = ${objective.k}`;
  const clip = objective.clip_range === null ? "no clip" : `clip ${number(objective.clip_range)}`;
  const advantage = objective.advantage === "frozen" ? "" : `, ${objective.advantage} advantage`;
  return `sampled token, ${clip}${advantage}`;
}

const UNIT = {
  block: (gate) => `blocks of ${integer(gate.block_size)}`,
  newline_span: (gate) => `newline spans of ${gate.min_span}–${gate.max_span}`,
  token: () => "every token",
  sequence: () => "whole sequence",
};
const KERNEL = { exp: "exp", reciprocal: "reciprocal", hard: "hard", ratio: "ratio" };

/** The gate in a few words; what is not said has its published value. */
export function gateInWords(gate) {
  if (gate.granularity === "none") return "no gate";
  const { strength } = gate;
  const parts = [
    UNIT[gate.granularity](gate),
    gate.aggregation === "signed_mean" ? null : gate.aggregation.replaceAll("_", " "),
    gate.kernel === "exp" ? null : KERNEL[gate.kernel],
    gate.kernel === "hard" ? `threshold ${number(gate.threshold)}`
      : typeof strength === "object" ? `τ adaptive ${number(strength.adaptive)}` : `τ = ${number(strength)}`,
    gate.direction === "damp" ? null : gate.direction,
    gate.normalization === "minibatch" ? null
      : gate.normalization === "none" ? "not normalised" : `normalised by ${gate.normalization}`,
  ];
  return parts.filter((part) => part !== null).join(", ");
}

/**
 * What the gate did to the weights, from the largest standard deviation over the updates.
 * Below 1e-4 nothing that a run could feel; the published setting lies between 0.001 and 0.005.
 */
export function gateVerdict(gate, largestStd) {
  if (gate.granularity === "none") return "gate: off, every weight is 1";
  if (largestStd === null) return "gate: nothing recorded";
  if (largestStd < 1e-4) return "gate: inert, the weights' std stays below 0.0001 at every update";
  const spread = `weights vary by up to ${percent(largestStd)} (std)`;
  return largestStd < 0.01 ? `gate: almost inert, ${spread}` : `gate: active, ${spread}`;
}
