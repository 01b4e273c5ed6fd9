// The list of studies, newest first.

import { listStudies, secondsSince } from "./api.js";
import { fill, h } from "./elements.js";
import { age, dateAndTime, integer, plural } from "./words.js";

const MOVING_MS = 4000;
const RESTING_MS = 10_000;
const PAGE_SIZE = 50;
const COLUMNS = ["Study", "State", "Arms", "Runs", "Created"];

/** Whether a study goes on by itself. */
export const isStudyMoving = (state) => state === "running" || state === "cancelling";

export const studyStateLabel = (state) =>
  h("span", { class: `state study-state-${state}` }, state);

/** Runs that have ended, of all, as a bar and as a number. */
export function studyProgressBar({ state, progress }) {
  const ended = progress.num_runs - progress.num_pending - progress.num_active;
  const text = `${integer(ended)} of ${plural(progress.num_runs, "run")} ended`;
  return [
    h("progress", { class: isStudyMoving(state) ? "moving" : null, max: progress.num_runs, value: ended, "aria-label": text }),
    h("span", { class: "figures" }, text),
  ];
}

/** A view, as `jobsView`. */
export function studiesView() {
  let numPages = 1;
  const view = { element: null, title: () => "Studies", refresh };
  const place = h("div", {}, h("p", { class: "empty" }, "Loading studies…"));
  const older = h("button", { class: "quiet", hidden: true, onclick: () => {
    numPages += 1;
    view.onchange();
  } }, "Show older studies");
  view.element = h("div", { class: "page" }, h("h1", {}, "Studies"), place, older);

  async function refresh(signal) {
    const studies = [];
    let token = null;
    for (let page = 0; page < numPages; page += 1) {
      const answer = await listStudies({ page_size: PAGE_SIZE, ...(token && { page_token: token }) }, signal);
      studies.push(...answer.studies);
      token = answer.next_page_token;
      if (token === null) break;
    }
    fill(place, studies, () => (studies.length ? table(studies) : empty()));
    older.hidden = token === null;
    return studies.some((one) => isStudyMoving(one.state)) ? MOVING_MS : RESTING_MS;
  }

  return view;
}

const table = (studies) => h("table", { class: "jobs", role: "table", "aria-label": "Studies, newest first" },
  h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
    COLUMNS.map((name) => h("th", { role: "columnheader", scope: "col" }, name)))),
  h("tbody", { role: "rowgroup" }, studies.map(row)));

function row(study) {
  const cell = (name, ...content) => h("td", { role: "cell", class: `cell-${name}` }, content);
  return h("tr", { role: "row" },
    cell("job", h("a", { href: `#/studies/${encodeURIComponent(study.id)}` }, study.name ?? "unnamed study"),
      h("span", { class: "id" }, study.id)),
    cell("state", studyStateLabel(study.state)),
    cell("work", `${study.arms.join(", ")}; ${plural(study.num_seeds, "seed")}`),
    cell("progress", studyProgressBar(study)),
    cell("created", h("time", { datetime: study.created_at, title: dateAndTime(study.created_at) },
      `${age(secondsSince(study.created_at))} ago`)));
}

const empty = () => h("div", { class: "empty" },
  h("p", {}, "No study yet. A study runs arms × seeds of one job spec and says what differs, with a training seed as the unit: "
    + "POST to /v1/studies, or driftgate study submit FILE."));
