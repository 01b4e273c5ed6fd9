// What a person can ask of a study: pause, resume, cancel.

import { cancelStudy, pauseStudy, resumeStudy } from "./api.js";
import { h } from "./elements.js";

/** The buttons that the study's state allows; `view.onchange` is called after each. */
export function studyActions(id, state, view) {
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
    state === "running" ? h("button", { class: "quiet", onclick: () => ask(pauseStudy) }, "Pause") : null,
    state === "paused" ? h("button", { class: "quiet", onclick: () => ask(resumeStudy) }, "Resume") : null,
    ...(state === "running" || state === "paused" ? cancelButton(() => ask(cancelStudy)) : []),
    answer,
  ];
}

function cancelButton(cancel) {
  const dialog = h("dialog", { "aria-labelledby": "cancel-title" },
    h("h2", { id: "cancel-title" }, "Cancel this study?"),
    h("p", {}, "Its jobs stop and cannot be taken up again, and no further one is submitted. What has ended stays, with its results."),
    h("div", { class: "actions" },
      h("button", { class: "quiet", onclick: () => dialog.close() }, "Keep it running"),
      h("button", { class: "danger", onclick: confirm }, "Cancel the study")));
  function confirm() {
    dialog.close();
    return cancel();
  }
  return [h("button", { class: "danger", onclick: () => dialog.showModal() }, "Cancel study…"), dialog];
}
