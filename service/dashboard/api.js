// Reads the REST API of the server that sent this page; every address is relative to it.

const KEY_NAME = "driftgate-api-key";
const TIMEOUT_MS = 15_000;

/** An answer of the API that is an error (`status` is its HTTP status), or no answer (`status` is 0). */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

let clockOffsetMs = 0;

/** Seconds since `text`, by the server's clock as far as its answers tell it. */
export const secondsSince = (text) => (Date.now() + clockOffsetMs - Date.parse(text)) / 1000;

export const rememberKey = (key) => sessionStorage.setItem(KEY_NAME, key);

async function call(path, { method = "GET", query = {}, signal }) {
  const parameters = new URLSearchParams(
    Object.entries(query).flatMap(([name, value]) => [value].flat().map((one) => [name, one])));
  const address = parameters.size ? `${path}?${parameters}` : path;
  const key = sessionStorage.getItem(KEY_NAME);
  const headers = { accept: "application/json", ...(key && { authorization: `Bearer ${key}` }) };
  let response, body;
  try {
    response = await fetch(address, {
      method, headers, cache: "no-store", signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    body = await response.json().catch((error) => {
      if (error instanceof SyntaxError) return null;
      throw error;
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError(0, "UNREACHABLE", "the API does not answer");
  }
  noteClock(response.headers.get("date"));
  if (!response.ok || body === null) {
    throw new ApiError(response.status, body?.code ?? `HTTP ${response.status}`,
      body?.detail ?? `the API answered ${response.status} without saying why`);
  }
  return body;
}

// The Date header has whole seconds: smaller offsets are noise.
function noteClock(dateHeader) {
  if (dateHeader === null) return;
  const offset = Date.parse(dateHeader) - Date.now();
  clockOffsetMs = Math.abs(offset) > 2000 ? offset : 0;
}

/** The example of a job spec in the description of the API. */
export async function getExampleSpec(signal) {
  const description = await call("openapi.json", { signal });
  const { examples } = description.paths["/v1/jobs"].post.requestBody.content["application/json"];
  return Object.values(examples)[0].value;
}

// JSON has no NaN and no infinities: the API writes them as strings, here they are numbers.
function withNumbers(value) {
  if (typeof value === "string") return Number(value);
  if (Array.isArray(value)) return value.map(withNumbers);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, withNumbers(part)]));
}

const ofJob = (id, part = "") => `v1/jobs/${encodeURIComponent(id)}${part}`;

export const listJobs = (query, signal) => call("v1/jobs", { query, signal });
export const getJob = (id, signal) => call(ofJob(id), { signal });
export const cancelJob = (id, signal) => call(ofJob(id, ":cancel"), { method: "POST", signal });
export const pauseJob = (id, signal) => call(ofJob(id, ":pause"), { method: "POST", signal });
export const resumeJob = (id, signal) => call(ofJob(id, ":resume"), { method: "POST", signal });
export const getEvents = (id, after, signal) =>
  call(ofJob(id, "/events"), { query: { after, limit: 500 }, signal });
export const getMetrics = async (id, names, afterUpdate, signal) => {
  const metrics = await call(ofJob(id, "/metrics"), { query: { names, after_update: afterUpdate }, signal });
  return { ...metrics, columns: withNumbers(metrics.columns) };
};
export const getDriftMap = async (id, afterUpdate, signal) => {
  const map = await call(ofJob(id, "/drift-map"), { query: { after_update: afterUpdate, max_rows: 400 }, signal });
  const { mean_drift_nats, mean_abs_drift_nats } = map;
  return { ...map, ...withNumbers({ mean_drift_nats, mean_abs_drift_nats }) };
};
export const simulateGate = (id, gate, signal) => call(ofJob(id, "/gate:simulate"), { query: gate, signal });
export const getGradientFidelity = (id, signal) => call(ofJob(id, "/gradient-fidelity"), { signal });
const ofStudy = (id, part = "") => `v1/studies/${encodeURIComponent(id)}${part}`;

export const listStudies = (query, signal) => call("v1/studies", { query, signal });
export const getStudy = (id, signal) => call(ofStudy(id), { signal });
export const getStudyVerdict = (id, signal) => call(ofStudy(id, "/verdict"), { signal });
export const getStudyEvents = (id, after, signal) => call(ofStudy(id, "/events"), { query: { after, limit: 500 }, signal });
export const cancelStudy = (id, signal) => call(ofStudy(id, ":cancel"), { method: "POST", signal });
export const pauseStudy = (id, signal) => call(ofStudy(id, ":pause"), { method: "POST", signal });
export const resumeStudy = (id, signal) => call(ofStudy(id, ":resume"), { method: "POST", signal });
export const getResults = (id, signal) => call(ofJob(id, "/results"), { signal });
export const getCheckpoints = (id, signal) => call(ofJob(id, "/checkpoints"), { signal });
