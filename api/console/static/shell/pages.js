/** Which element shows which place. */

import { shortId } from "../dom/format.js";
import "../runs/runs_page.js";

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
  return { name: "runs", title: "Runs", tag: "runs-page" };
}
