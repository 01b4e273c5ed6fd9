// The list of jobs, newest first.

import { getExampleSpec, listJobs, secondsSince } from "./api.js";
import { fill, h } from "./elements.js";
import { age, dateAndTime, gateInWords, isMoving, integer, phaseInWords, trains, workInWords } from "./words.js";

const MOVING_MS = 2000;
const RESTING_MS = 10_000;
const PAGE_SIZE = 50;

const COLUMNS = ["Job", "State", "Progress", "Work", "Gate", "Created"];

/** State as a coloured mark and a word, with the phase where a worker holds the job. */
export const stateLabel = (job) => [
  h("span", { class: `state state-${job.state}` }, job.state),
  job.phase === null ? null : h("span", { class: "phase" }, phaseInWords(job.phase)),
];

/** Steps done of all, or graded samples where nothing is trained, as a bar and as a number. */
export function progressBar({ state, progress }) {
  const { total_steps: numSteps, evaluated_samples: numGraded, samples_to_evaluate: numSamples } = progress;
  const [done, all, text] = numSteps > 0 ? [progress.step, numSteps, `${integer(progress.step)} / ${integer(numSteps)} steps`]
    : numSamples > 0 ? [numGraded, numSamples, `${integer(numGraded)} / ${integer(numSamples)} samples`]
      : state === "succeeded" ? [1, 1, "done"] : [0, 1, "no samples yet"];
  return [
    h("progress", { class: isMoving(state) ? "moving" : null, max: all, value: done, "aria-label": text }),
    h("span", { class: "figures" }, text),
  ];
}

/** A view: `element`, `title()`, `refresh(signal)` → milliseconds to the next one. */
export function jobsView() {
  let numPages = 1;
  let numMoving = 0;
  let exampleSpec = null;
  const rows = new Map();
  const view = { element: null, title: () => (numMoving ? `${numMoving} active` : "Jobs"), refresh };

  const body = h("tbody", { role: "rowgroup" });
  // The roles stand here because a table laid out as a grid on narrow screens loses its own.
  const table = h("table", { class: "jobs", role: "table", "aria-label": "Jobs, newest first" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      COLUMNS.map((name) => h("th", { role: "columnheader", scope: "col" }, name)))), body);
  const older = h("button", { class: "quiet", hidden: true, onclick: () => {
    numPages += 1;
    view.onchange();
  } }, "Show older jobs");
  const place = h("div", {}, h("p", { class: "empty" }, "Loading jobs…"));
  view.element = h("div", { class: "page" }, h("h1", {}, "Jobs"), place);

  async function refresh(signal) {
    const { jobs, hasMore } = await firstPages(numPages, signal);
    numMoving = jobs.filter((job) => isMoving(job.state)).length;
    if (jobs.length === 0) {
      exampleSpec ??= await getExampleSpec(signal);
      fill(place, exampleSpec, emptyState);
    } else {
      fill(place, "table", () => [table, older]);
      show(jobs);
    }
    older.hidden = !hasMore;
    return numMoving ? MOVING_MS : RESTING_MS;
  }

  function show(jobs) {
    const wanted = jobs.map((job) => {
      if (!rows.has(job.id)) rows.set(job.id, row());
      update(rows.get(job.id), job);
      return rows.get(job.id);
    });
    const isSame = wanted.length === body.children.length && wanted.every((one, i) => one === body.children[i]);
    if (!isSame) body.replaceChildren(...wanted);
  }

  return view;
}

async function firstPages(count, signal) {
  const jobs = [];
  let token = null;
  for (let page = 0; page < count; page += 1) {
    const answer = await listJobs({ page_size: PAGE_SIZE, ...(token && { page_token: token }) }, signal);
    jobs.push(...answer.jobs);
    token = answer.next_page_token;
    if (token === null) break;
  }
  return { jobs, hasMore: token !== null };
}

const row = () => h("tr", { role: "row" }, COLUMNS.map((name) =>
  h("td", { role: "cell", class: `cell-${name.toLowerCase()}`, "data-label": name })));

function update(element, job) {
  const [name, state, progress, objective, gate, created] = element.children;
  fill(name, [job.id, job.name], () => [
    h("a", { href: `#/jobs/${encodeURIComponent(job.id)}` }, job.name ?? "unnamed job"),
    h("span", { class: "id" }, job.id),
  ]);
  fill(state, [job.state, job.phase], () => stateLabel(job));
  fill(progress, [job.state, job.progress], () => progressBar(job));
  fill(objective, job.spec, workInWords);
  fill(gate, job.spec, (spec) => (trains(spec) ? gateInWords(spec.gate) : "–"));
  fill(created, age(secondsSince(job.created_at)), (text) =>
    h("time", { datetime: job.created_at, title: dateAndTime(job.created_at) }, `${text} ago`));
}

/** The API's own example of a job, as a line for a shell. */
function emptyState(spec) {
  const body = JSON.stringify(spec).replaceAll("'", "'\\''");
  const command = `curl -X POST ${location.origin}/v1/jobs -H 'content-type: application/json' -d '${body}'`;
  const copied = h("span", { role: "status", class: "note" });
  return h("div", { class: "empty" },
    h("p", {}, "No job yet. This line submits a small one, which needs no download:"),
    h("pre", { tabindex: 0, "aria-label": "Command that submits a job" }, command),
    // Browsers keep the clipboard from pages that came by plain HTTP from another machine.
    navigator.clipboard && h("button", { class: "quiet", onclick: async () => {
      await navigator.clipboard.writeText(command);
      copied.textContent = "copied";
    } }, "Copy"), " ", copied);
}
