// What the page knows of one job, brought up to date with as few bytes as the API allows.

import { getCheckpoints, getDriftMap, getEvents, getGradientFidelity, getJob, getMetrics, getResults } from "./api.js";
import { isMoving } from "./words.js";

const CHECKPOINTS_MS = 10_000;
const MAX_DRIFT_ROWS = 800;

export const METRICS = [
  "train/loss", "train/gradient_norm", "train/total_tokens", "train/update_seconds", "train/skipped",
  "objective/teacher_log_ratio", "objective/clip_fraction", "objective/support_mass",
  "drift/mean_abs", "gate/std", "gate/min", "gate/max", "gate/effective_sample_size",
  "rollout/seconds", "score/seconds", "rollout/fraction_truncated",
];

const noMetrics = () => ({ update: [], step: [], attempt: [], columns: {} });
const noDrift = () => ({ block_size: 1, update: [], mean_drift_nats: [], mean_abs_drift_nats: [], num_tokens: [] });

export class JobData {
  constructor(id) {
    this.id = id;
    this.job = null;
    this.metrics = noMetrics();
    this.drift = noDrift();
    this.gradients = []; // measurements of gradient fidelity
    this.events = [];
    this.results = null;
    this.checkpoints = null;
    this.checkpointsDueAt = 0;
    this.numEventsAtResults = -1;
    this.isComplete = false; // every part was read after the job last changed
    this.isRewound = false; // held updates may have been replaced: read all of them again
  }

  async refresh(signal) {
    const previous = this.job;
    const job = await getJob(this.id, signal);
    // A resumed attempt replaces updates that an earlier one had already recorded.
    this.isRewound ||= previous !== null
      && (job.attempt !== previous.attempt || job.progress.update < (this.metrics.update.at(-1) ?? 0));
    this.job = job;
    if (this.isComplete && !this.isRewound && !isMoving(job.state) && previous.version === job.version) return;
    this.isComplete = false;
    this.isRewound = await this.refreshParts(signal);
    this.isComplete = true;
  }

  /** Reads what is new; true where all has to be read again. */
  async refreshParts(signal) {
    const metrics = this.isRewound ? noMetrics() : this.metrics;
    const drift = this.isRewound || this.drift.update.length > MAX_DRIFT_ROWS ? noDrift() : this.drift;
    // All are waited for: one that goes on into the next refresh would append its rows twice.
    const parts = await Promise.allSettled([
      this.refreshMetrics(metrics, signal),
      this.refreshDrift(drift, signal),
      this.refreshGradients(signal),
      this.refreshEvents(signal).then(() => this.refreshResults(signal)).then(() => this.refreshCheckpoints(signal)),
    ]);
    const failed = parts.find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
    return parts[0].value;
  }

  /** Appends to `held`; true where what follows it is of another attempt. */
  async refreshMetrics(held, signal) {
    const news = await getMetrics(this.id, METRICS, held.update.at(-1) ?? 0, signal);
    const names = new Set([...Object.keys(held.columns), ...Object.keys(news.columns)]);
    const nulls = (count) => new Array(count).fill(null);
    this.metrics = {
      update: [...held.update, ...news.update],
      step: [...held.step, ...news.step],
      attempt: [...held.attempt, ...news.attempt],
      columns: Object.fromEntries([...names].map((name) => [name, [
        ...(held.columns[name] ?? nulls(held.update.length)),
        ...(news.columns[name] ?? nulls(news.update.length)),
      ]])),
    };
    return held.update.length > 0 && news.update.length > 0 && news.attempt[0] !== held.attempt.at(-1);
  }

  async refreshDrift(held, signal) {
    const news = await getDriftMap(this.id, held.update.at(-1) ?? 0, signal);
    this.drift = {
      block_size: news.block_size,
      ...Object.fromEntries(["update", "mean_drift_nats", "mean_abs_drift_nats", "num_tokens"]
        .map((name) => [name, [...held[name], ...news[name]]])),
    };
  }

  // They are recorded before the updates of their step, and are few.
  async refreshGradients(signal) {
    if (!this.job.spec.diagnostics?.gradient_fidelity) return;
    this.gradients = (await getGradientFidelity(this.id, signal)).measurements;
  }

  async refreshEvents(signal) {
    for (;;) {
      const page = await getEvents(this.id, this.events.at(-1)?.seq ?? 0, signal);
      this.events.push(...page.events);
      if (page.events.length < 500) return;
    }
  }

  // Intervals cost the server a bootstrap, and every evaluation comes with an event.
  async refreshResults(signal) {
    const numEvents = this.events.length;
    if (numEvents === this.numEventsAtResults) return;
    this.results = await getResults(this.id, signal);
    this.numEventsAtResults = numEvents;
    this.checkpointsDueAt = 0;
  }

  // Old ones are removed without an event.
  async refreshCheckpoints(signal) {
    if (Date.now() < this.checkpointsDueAt) return;
    this.checkpoints = await getCheckpoints(this.id, signal);
    this.checkpointsDueAt = Date.now() + CHECKPOINTS_MS;
  }

  /** A metric's column; null where the job has not recorded it at all. */
  column(name) {
    const column = this.metrics.columns[name];
    return column?.some((value) => value !== null) ? column : null;
  }

  lastOf(name) {
    return this.column(name)?.findLast((value) => value !== null) ?? null;
  }

  /** Its values that are numbers to reckon with; null where there is none. */
  finiteOf(name) {
    const finite = this.column(name)?.filter(Number.isFinite) ?? [];
    return finite.length ? finite : null;
  }

  sumOf(name) {
    return this.finiteOf(name)?.reduce((sum, value) => sum + value) ?? null;
  }

  largestOf(name) {
    return this.finiteOf(name)?.reduce((largest, value) => Math.max(largest, value)) ?? null;
  }

  smallestOf(name) {
    return this.finiteOf(name)?.reduce((least, value) => Math.min(least, value)) ?? null;
  }
}
