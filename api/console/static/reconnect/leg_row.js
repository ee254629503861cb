/** One connection of a trial, as a line. */

import { element } from "../dom/element.js";
import { count } from "../dom/format.js";

/** @typedef {import("./trial.js").Leg} Leg */

const STATES = {
  open: "open",
  cut: "cut here",
  broken: "broken off by the other side",
  ended: "ended",
};

/**
 * @param {Leg} leg
 * @param {number} index
 * @param {number} total The number of the last event so far.
 */
export function legRow(leg, index, total) {
  const { archive, log, live } = tiersOf(leg);
  const known = leg.tiers !== null || leg.first === 0;
  const share = (/** @type {number} */ runSeq) => (total ? (runSeq / total).toFixed(5) : "0");
  return element(
    "tr",
    { "data-state": leg.state },
    element("th", { scope: "row" }, count(index + 1)),
    element("td", { class: "id" }, leg.after === "-1" ? "the start" : leg.after),
    element("td", {}, leg.first ? `${count(leg.first)} to ${count(leg.last)}` : "none yet"),
    element(
      "td",
      { class: "stretch" },
      leg.first > 0 &&
        element("span", {
          vars: { "--from": share(leg.first - 1), "--archive": share(archive), "--log": share(log), "--live": share(live) },
        }, element("i", { class: "archive" }), element("i", { class: "log" }), element("i", { class: "live" })),
    ),
    element("td", { class: "count" }, known ? count(archive) : "?"),
    element("td", { class: "count" }, known ? count(log) : "?"),
    element("td", { class: "count" }, known ? count(live) : "?"),
    element("td", {}, STATES[leg.state]),
  );
}

/**
 * @param {Leg} leg
 * @returns {{archive: number, log: number, live: number}} Where its events came from: the log's first
 *   event and its last one, as they were when it was opened, tell.
 */
export function tiersOf({ first, last, tiers }) {
  if (!first || !tiers) return { archive: 0, log: 0, live: 0 };
  const between = (/** @type {number} */ from, /** @type {number} */ to) =>
    Math.max(0, Math.min(last, to) - Math.max(first, from) + 1);
  const loggedTo = tiers.logged_to ?? tiers.archived_to;
  const loggedFrom = tiers.logged_from ?? loggedTo + 1;
  return {
    archive: between(1, loggedFrom - 1),
    log: between(loggedFrom, loggedTo),
    live: between(loggedTo + 1, Infinity),
  };
}
