/**
 * What a run can be, each with a sign that tells it without colours.
 *
 * @typedef {"pending" | "running" | "success" | "error" | "timeout" | "interrupted"} Status
 */

import { element } from "../dom/element.js";

/** @type {Record<Status, string>} */
const SIGNS = {
  pending: "○",
  running: "◐",
  success: "●",
  error: "✕",
  timeout: "◷",
  interrupted: "■",
};

export const STATUSES = /** @type {Status[]} */ (Object.keys(SIGNS));

/** @param {string} status @returns {boolean} Whether something can still follow. */
export function isUnderWay(status) {
  return status === "pending" || status === "running";
}

/** @param {string} status */
export function statusMark(status) {
  return element(
    "span",
    { class: "status", "data-status": status },
    element("span", { class: "sign", "aria-hidden": "true" }, SIGNS[/** @type {Status} */ (status)] ?? "?"),
    status,
  );
}
