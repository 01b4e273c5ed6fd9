// What a person can ask of a job: pause, resume, cancel.

import { cancelJob, pauseJob, resumeJob } from "./api.js";
import { steeringButtons } from "./steering.js";
import { isCancellable, isPausable, isResumable } from "./words.js";

const WORDS = {
  noun: "job",
  consequence: "Training stops and cannot be taken up again. Metrics and saved checkpoints stay.",
};

/** The buttons that the job's state allows; `view.onchange` is called after each. */
export const jobActions = (id, state, view) => steeringButtons({
  pause: isPausable(state) ? (signal) => pauseJob(id, signal) : null,
  resume: isResumable(state) ? (signal) => resumeJob(id, signal) : null,
  cancel: isCancellable(state) ? (signal) => cancelJob(id, signal) : null,
}, WORDS, view);
