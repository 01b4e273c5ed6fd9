// The buttons by which a person steers what runs: pause, resume, cancel.

import { h } from "./elements.js";

/**
 * verbs: { pause, resume, cancel }, each what its button asks of the API, null where the state does not allow it.
 * words: { noun, consequence } of a cancel. `view.onchange` is called after each.
 */
export function steeringButtons(verbs, { noun, consequence }, view) {
  const answer = h("p", { class: "note", role: "alert" });
  const ask = async (verb) => {
    try {
      await verb(new AbortController().signal);
      answer.textContent = "";
    } catch (error) {
      answer.textContent = error.message;
    }
    view.onchange();
  };
  return [
    verbs.pause && h("button", { class: "quiet", onclick: () => ask(verbs.pause) }, "Pause"),
    verbs.resume && h("button", { class: "quiet", onclick: () => ask(verbs.resume) }, "Resume"),
    ...(verbs.cancel ? cancelButton(noun, consequence, () => ask(verbs.cancel)) : []),
    answer,
  ];
}

function cancelButton(noun, consequence, cancel) {
  const dialog = h("dialog", { "aria-labelledby": "cancel-title" },
    h("h2", { id: "cancel-title" }, `Cancel this ${noun}?`),
    h("p", {}, consequence),
    h("div", { class: "actions" },
      h("button", { class: "quiet", onclick: () => dialog.close() }, "Keep it running"),
      h("button", { class: "danger", onclick: confirm }, `Cancel the ${noun}`)));
  function confirm() {
    dialog.close();
    return cancel();
  }
  return [h("button", { class: "danger", onclick: () => dialog.showModal() }, `Cancel ${noun}…`), dialog];
}
