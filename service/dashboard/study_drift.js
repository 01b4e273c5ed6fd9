// The drift maps of all arms side by side, of one seed that all of them have run with.

import { getDriftMap } from "./api.js";
import { driftMap } from "./drift_map.js";
import { fill, h } from "./elements.js";

const MAX_MAPS = 8;

/** refresh(study, signal): reads the maps of runs that have come further since. */
export function studyDrift() {
  const note = h("p", { class: "note" });
  const grid = h("div", { class: "drift-maps" });
  const shown = new Map(); // by arm: { map, key }

  async function refresh(study, signal) {
    const seed = furthestSeed(study);
    fill(note, seed, () => (seed === null ? "No arm has trained yet."
      : `Of seed ${seed}. Every map has colours of its own.`));
    if (seed === null) return;
    const arms = study.arms.slice(0, MAX_MAPS);
    fill(grid, [seed, arms.map((arm) => arm.name)], () => arms.map((arm) => {
      const map = driftMap();
      shown.set(arm.name, { map, key: null });
      return h("div", {}, h("h3", {}, arm.name), map.element);
    }));
    await Promise.all(arms.map(async (arm) => {
      const run = arm.runs.find((one) => one.seed === seed);
      const place = shown.get(arm.name);
      const key = `${run.job_id} ${run.step}`;
      if (run.job_id === null || run.state === "deleted" || place.key === key) return;
      place.map.update(await getDriftMap(run.job_id, 0, signal));
      place.key = key;
    }));
  }

  return { element: h("div", {}, note, grid), refresh };
}

/** The seed that most arms have trained with; null where none has. */
function furthestSeed(study) {
  const counts = study.spec.seeds.map((seed) => [seed, study.arms.filter((arm) =>
    arm.runs.some((run) => run.seed === seed && run.step > 0)).length]);
  const [seed, count] = counts.reduce((best, one) => (one[1] > best[1] ? one : best));
  return count > 0 ? seed : null;
}
