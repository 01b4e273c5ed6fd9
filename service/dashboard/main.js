// Shows the view of the address (#/, #/jobs/ID, #/studies, #/studies/ID), refreshes it, and says when the API is not answering.

import { ApiError, rememberKey } from "./api.js";
import { h } from "./elements.js";
import { jobView } from "./job_view.js";
import { jobsView } from "./jobs_view.js";
import { studiesView } from "./studies_view.js";
import { studyView } from "./study_view.js";
import { clock } from "./words.js";

const RETRY_MS = 4000;

const content = document.getElementById("content");
const banner = document.getElementById("banner");
const connection = document.getElementById("connection");

let current = null;

function viewOfAddress() {
  const match = /^#\/(jobs|studies)\/([^/]+)$/.exec(location.hash);
  if (match) return (match[1] === "jobs" ? jobView : studyView)(decodeURIComponent(match[2]));
  return location.hash === "#/studies" ? studiesView() : jobsView();
}

function show() {
  if (current) {
    current.controller.abort();
    clearTimeout(current.timer);
  }
  const isFirst = current === null;
  current = {
    view: viewOfAddress(),
    controller: new AbortController(),
    timer: null,
    lastAnswer: null,
    failingSince: null,
    isRefreshing: false,
    isDueAgain: false,
  };
  current.view.onchange = refreshNow;
  sayConnected(current);
  content.replaceChildren(current.view.element);
  if (!isFirst) {
    content.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  refresh(current);
}

async function refresh(shown) {
  if (document.hidden) return; // visibilitychange calls again
  // Two refreshes side by side would append the same rows twice.
  shown.isDueAgain = shown.isRefreshing;
  if (shown.isRefreshing) return;
  shown.isRefreshing = true;
  let delayMs = RETRY_MS;
  try {
    delayMs = await shown.view.refresh(shown.controller.signal);
    shown.lastAnswer = new Date();
    shown.failingSince = null;
  } catch (error) {
    if (shown !== current) return;
    if (error.status === 401) return askForKey();
    if (!(error instanceof ApiError)) reportError(error); // a defect of the page: told of as if nobody had caught it
    shown.failingSince ??= new Date();
    sayFailing(shown, error);
  } finally {
    shown.isRefreshing = false;
  }
  if (shown !== current) return;
  if (shown.failingSince === null) sayConnected(shown);
  document.title = `${shown.view.title()} · Driftgate`;
  clearTimeout(shown.timer);
  shown.timer = setTimeout(() => refresh(shown), shown.isDueAgain ? 0 : delayMs);
}

function refreshNow() {
  clearTimeout(current.timer);
  refresh(current);
}

function sayConnected(shown) {
  banner.hidden = true;
  connection.className = "connection live";
  connection.textContent = shown.lastAnswer ? `updated ${clock(shown.lastAnswer)}` : "loading";
}

function sayFailing(shown, error) {
  const since = clock(shown.failingSince);
  const what = !(error instanceof ApiError) ? `The page cannot show what it reads since ${since}: ${error.message}.`
    : error.status === 0 ? `No answer from the API since ${since}.`
    : `The API answers with an error since ${since}, ${error.code}: ${error.message}`;
  const kept = shown.lastAnswer ? ` Below is what it said at ${clock(shown.lastAnswer)}.` : "";
  const text = `${what}${kept} Trying again every ${RETRY_MS / 1000} s.`;
  // Written only when it changes: a screen reader speaks each write.
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = false;
  connection.className = "connection lost";
  connection.textContent = error.status === 0 ? "not connected" : "error";
}

function askForKey() {
  if (content.querySelector(".key-form")) return; // what was typed stays
  const field = h("input", { id: "api-key", type: "password", autocomplete: "off", required: true });
  const form = h("form", { class: "key-form", onsubmit: (event) => {
    event.preventDefault();
    rememberKey(field.value.trim());
    show();
  } },
  h("h1", {}, "This server asks for an API key"),
  h("p", {}, "It stays in this tab and is forgotten when the tab is closed."),
  h("label", { for: "api-key" }, "API key"), field, h("button", {}, "Continue"));
  sayConnected({ lastAnswer: new Date() });
  content.replaceChildren(form);
  field.focus();
}

addEventListener("hashchange", show);
document.addEventListener("visibilitychange", refreshNow);
show();
