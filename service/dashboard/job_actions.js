// What a person can ask of a job: pause, resume, cancel.

import { cancelJob, pauseJob, resumeJob } from "./api.js";
import { h } from "./elements.js";
import { isCancellable, isPausable, isResumable } from "./words.js";

/** The buttons that the job's state allows; `view.onchange` is called after each. */
export function jobActions(id, state, view) {
  const answer = h("p", { class: "note", role: "alert" });
  const ask = async (verb) => {
    try {
      await verb(id, new AbortController().signal);
      answer.textContent = "";
    } catch (error) {
      answer.textContent = error.message;
    }
    view.onchange();
  };
  return [
    isPausable(state) ? h("button", { class: "quiet", onclick: () => ask(pauseJob) }, "Pause") : null,
    isResumable(state) ? h("button", { class: "quiet", onclick: () => ask(resumeJob) }, "Resume") : null,
    ...(isCancellable(state) ? cancelButton(() => ask(cancelJob)) : []),
    answer,
  ];
}

function cancelButton(cancel) {
  const dialog = h("dialog", { "aria-labelledby": "cancel-title" },
    h("h2", { id: "cancel-title" }, "Cancel this job?"),
    h("p", {}, "Training stops and cannot be taken up again. Metrics and saved checkpoints stay."),
    h("div", { class: "actions" },
      h("button", { class: "quiet", onclick: () => dialog.close() }, "Keep it running"),
      h("button", { class: "danger", onclick: confirm }, "Cancel the job")));
  function confirm() {
    dialog.close();
    return cancel();
  }
  return [h("button", { class: "danger", onclick: () => dialog.showModal() }, "Cancel job…"), dialog];
}
