/** One line of the list of runs. */

import { element } from "../dom/element.js";
import { ago, dateTime, duration, shortCount, shortId } from "../dom/format.js";
import { oneLine } from "../dom/printable.js";
import { linkToRun } from "../shell/route.js";
import { isUnderWay, statusMark } from "./statuses.js";

/** @typedef {import("./run_pages.js").Run} Run */

const MAX_NOTE = 160;

/**
 * The columns in their order: what the list can be sorted by has a name of the gateway's.
 *
 * @type {{name: string, title: string, sort?: string, operator?: boolean}[]}
 */
export const COLUMNS = [
  { name: "status", title: "Status", sort: "status" },
  { name: "run", title: "Run", sort: "run_id" },
  { name: "assistant", title: "Assistant" },
  { name: "user", title: "User", operator: true },
  { name: "created", title: "Created", sort: "created_at" },
  { name: "updated", title: "Updated", sort: "updated_at" },
  { name: "took", title: "Took" },
  { name: "tokens", title: "Tokens" },
  { name: "note", title: "Error or metadata" },
];

/**
 * @param {Run} run
 * @param {number} now Milliseconds.
 * @returns {Record<string, import("../dom/element.js").Child>} What stands in each column.
 */
function contents(run, now) {
  return {
    status: statusMark(run.status),
    run: element(
      "a",
      { href: linkToRun(run), class: "id", tabindex: "-1", title: run.run_id },
      element("span", { class: "unseen" }, `${run.status} run of ${run.graph_id}, `),
      shortId(run.run_id),
    ),
    assistant: oneLine(run.graph_id, 60),
    user: run.user_id ?? "–",
    created: element("time", { datetime: run.created_at, title: dateTime(run.created_at) }, ago(run.created_at, now)),
    updated: element("time", { datetime: run.updated_at, title: dateTime(run.updated_at) }, ago(run.updated_at, now)),
    took: took(run, now),
    tokens: run.usage ? shortCount(run.usage.total_tokens) : "",
    note: note(run),
  };
}

/**
 * @param {Run} run
 * @param {{index: number, isSelected: boolean, isOperator: boolean, now: number}} state
 * @param {(run: Run, isSelected: boolean) => void} onSelect
 */
export function runRow(run, { index, isSelected, isOperator, now }, onSelect) {
  const box = /** @type {HTMLInputElement} */ (
    element("input", {
      type: "checkbox",
      tabindex: "-1",
      "aria-label": `Select run ${shortId(run.run_id)}`,
      onchange: () => onSelect(run, box.checked),
    })
  );
  box.checked = isSelected;
  const cells = contents(run, now);
  return element(
    "div",
    {
      class: "run-row",
      role: "row",
      "aria-rowindex": index + 2,
      "aria-selected": String(isSelected),
      vars: { "--index": index },
      "data-run": run.run_id,
    },
    element("div", { class: "cell select", role: "gridcell" }, box),
    COLUMNS.filter((column) => isOperator || !column.operator).map((column) =>
      element("div", { class: `cell ${column.name}`, role: "gridcell" }, cells[column.name]),
    ),
  );
}

/** @param {Run} run @param {number} now */
export function took(run, now) {
  if (!run.started_at) return isUnderWay(run.status) ? "waiting" : "";
  const end = run.ended_at ? Date.parse(run.ended_at) : now;
  return duration(end - Date.parse(run.started_at));
}

/** @param {Run} run */
function note(run) {
  if (run.error) {
    const text = oneLine(`${run.error.error}: ${run.error.message}`, MAX_NOTE);
    return element("bdi", { class: "fault" }, text);
  }
  const hasMetadata = Object.keys(run.metadata).length > 0;
  return hasMetadata ? element("bdi", {}, oneLine(run.metadata, MAX_NOTE)) : "";
}
