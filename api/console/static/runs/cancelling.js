/** Stops many runs, a request for each thread, few at a time. */

import { request } from "../http/api.js";

const AT_ONE_TIME = 4;

/**
 * @typedef {object} Cancelled
 * @property {number} runs How many were stopped, or had ended already.
 * @property {Error[]} problems Of those that were not.
 */

/**
 * @param {{thread_id: string, run_id: string}[]} runs
 * @returns {Promise<Cancelled>}
 */
export async function cancelRuns(runs) {
  const threads = [...Map.groupBy(runs, (run) => run.thread_id)];
  const cancelled = { runs: 0, problems: /** @type {Error[]} */ ([]) };
  const work = async () => {
    for (let next = threads.pop(); next; next = threads.pop()) {
      const [thread_id, those] = next;
      const body = { thread_id, run_ids: those.map((run) => run.run_id) };
      try {
        await request("runs/cancel", { method: "POST", body });
        cancelled.runs += those.length;
      } catch (error) {
        cancelled.problems.push(/** @type {Error} */ (error));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONE_TIME }, work));
  return cancelled;
}
