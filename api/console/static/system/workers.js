/** Which worker executes how many runs, as the records of the runs under way say it. */

/** @typedef {import("../runs/run_pages.js").Run} Run */

/**
 * @typedef {object} Worker
 * @property {string} name
 * @property {Run[]} runs Those in its hands, the longest under way first.
 */

/**
 * @param {Run[]} running
 * @returns {Worker[]} The busiest first.
 */
export function workersOf(running) {
  const groups = Map.groupBy(running, (run) => run.worker ?? "not known yet");
  return [...groups]
    .map(([name, runs]) => ({ name, runs: runs.sort((one, other) => beganAt(one) - beganAt(other)) }))
    .sort((one, other) => other.runs.length - one.runs.length || one.name.localeCompare(other.name));
}

/** @param {Run} run */
export function beganAt(run) {
  return Date.parse(run.started_at ?? run.created_at);
}
