// What a person can ask of a study: pause, resume, cancel.

import { cancelStudy, pauseStudy, resumeStudy } from "./api.js";
import { steeringButtons } from "./steering.js";

const WORDS = {
  noun: "study",
  consequence: "Its jobs stop and cannot be taken up again, and no further one is submitted. What has ended stays, with its results.",
};

/** The buttons that the study's state allows; `view.onchange` is called after each. */
export const studyActions = (id, state, view) => steeringButtons({
  pause: state === "running" ? (signal) => pauseStudy(id, signal) : null,
  resume: state === "paused" ? (signal) => resumeStudy(id, signal) : null,
  cancel: state === "running" || state === "paused" ? (signal) => cancelStudy(id, signal) : null,
}, WORDS, view);
