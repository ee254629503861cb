/** Which element shows which place. */

import { shortId } from "../dom/format.js";
import "../run/run_page.js";
import "../runs/runs_page.js";
import "../system/system_page.js";

/**
 * @typedef {object} Page
 * @property {string} name Places of one name are shown by one element.
 * @property {string} title
 * @property {string} tag
 */

/**
 * @param {import("./route.js").Place} place
 * @returns {Page}
 */
export function pageOf({ path }) {
  const [first, thread, runs, run] = path;
  if (first === "threads" && runs === "runs" && run) {
    return { name: `run ${thread} ${run}`, title: `Run ${shortId(run)}`, tag: "run-page" };
  }
  if (first === "system") return { name: "system", title: "System", tag: "system-page" };
  return { name: "runs", title: "Runs", tag: "runs-page" };
}
