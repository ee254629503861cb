/** A table of facts, with a heading and a word for when there are none. */

import { element } from "../dom/element.js";

/** @typedef {import("../dom/element.js").Child} Child */

/**
 * @param {string} title
 * @param {string[]} columns The first one names a line; those that end with `#` hold numbers.
 * @param {Child[][]} rows
 * @param {string} nothing What stands there instead of no rows.
 */
export function factsTable(title, columns, rows, nothing) {
  const isCount = columns.map((column) => column.endsWith("#"));
  const heads = columns.map((column, index) =>
    element("th", { scope: "col", class: isCount[index] ? "count" : null }, column.replace("#", "")),
  );
  const cells = (/** @type {Child[]} */ row) =>
    row.map((cell, index) =>
      element(index === 0 ? "th" : "td", { scope: index === 0 ? "row" : null, class: isCount[index] ? "count" : null }, cell),
    );
  return element(
    "section",
    {},
    element("h2", {}, title),
    rows.length === 0
      ? element("p", { class: "hint" }, nothing)
      : element(
          "div",
          { class: "wide", tabindex: "0", role: "region", "aria-label": title },
          element(
            "table",
            {},
            element("thead", {}, element("tr", {}, heads)),
            element("tbody", {}, rows.map((row) => element("tr", {}, cells(row)))),
          ),
        ),
  );
}

/**
 * @param {number} part
 * @param {number | null} whole `null`: there is no limit, and nothing is drawn.
 */
export function fillBar(part, whole) {
  if (whole === null) return null;
  const share = whole > 0 ? Math.min(1, part / whole) : 0;
  return element("span", { class: "fill-bar", "aria-hidden": "true", vars: { "--share": share.toFixed(4) } });
}
