/** One event of the timeline, and what stands between two of them when some are missing. */

import { element, fill } from "../dom/element.js";
import { bytes, count, counted, duration, shortCount, timeOfDay } from "../dom/format.js";
import { printable } from "../dom/printable.js";
import { idOf, isCut } from "./entry.js";
import { indented, jsonBlock } from "./json_block.js";

/** @typedef {import("./entry.js").Entry} Entry */

const MAX_NAME = 80;
/** A pause of a minute or more fills its bar. */
const LONGEST_MS = 60_000;
const MOST_TOKENS = 8000;

/**
 * @typedef {object} RowActions
 * @property {(entry: Entry, isOpen: boolean) => void} onToggle
 * @property {(entry: Entry) => void} onLink
 * @property {(entry: Entry) => Promise<string>} readWhole The whole of an event that is kept in part.
 */

/**
 * @param {Entry} entry
 * @param {{previous: Entry | undefined, isOpen: boolean, isTarget: boolean}} state
 * @param {RowActions} actions
 * @returns {HTMLElement}
 */
export function eventRow(entry, { previous, isOpen, isTarget }, actions) {
  const details = element("div", { class: "details", id: `details-${entry.run_seq}`, hidden: !isOpen });
  const name = printable(entry.event.slice(0, MAX_NAME));
  const toggle = () => {
    const opens = details.hidden;
    details.hidden = !opens;
    button.setAttribute("aria-expanded", String(opens));
    if (opens && !details.hasChildNodes()) fillDetails(details, entry, actions);
    actions.onToggle(entry, opens);
  };
  const button = element(
    "button",
    {
      type: "button",
      class: "event-line",
      tabindex: "-1",
      "aria-expanded": String(isOpen),
      "aria-controls": details.id,
      onclick: toggle,
    },
    element("span", { class: "number" }, count(entry.run_seq)),
    element("time", { class: entry.category === null ? "at unsettled" : "at" }, timeOfDay(new Date(entry.at).toISOString())),
    pause(entry, previous),
    element("bdi", { class: "name", title: name }, name),
    element("span", { class: "category" }, entry.category ?? "live"),
    entry.attempt && element("span", { class: "attempt" }, `attempt ${entry.attempt}`),
    element("bdi", { class: "summary" }, entry.summary),
    tokens(entry),
  );
  if (isOpen) fillDetails(details, entry, actions);
  return element(
    "li",
    {
      class: `event${entry.attempt ? " begins" : ""}${isTarget ? " target" : ""}`,
      "data-run-seq": entry.run_seq,
      "data-event": entry.event,
    },
    button,
    details,
  );
}

/**
 * @param {number} from The number of the first missing event.
 * @param {number} to Of the last one.
 * @param {string | undefined} reason As the stream told it.
 */
export function holeRow(from, to, reason) {
  const missing = to - from + 1;
  const range = missing === 1 ? `event ${count(from)}` : `events ${count(from)} to ${count(to)}`;
  return element(
    "li",
    { class: "hole", "data-missing": missing, "data-run-seq": from },
    element("strong", {}, counted(missing, "event is missing", "events are missing")),
    ` ${range}: ${reason ?? "they are neither in the log nor in the archive"}`,
  );
}

/**
 * @param {HTMLElement} details
 * @param {Entry} entry
 * @param {RowActions} actions
 */
function fillDetails(details, entry, actions) {
  const block = element("div", {}, jsonBlock(indented(entry.text), `Data of event ${entry.run_seq}`));
  const showAll = async () => {
    fill(block, element("p", { class: "hint", role: "status" }, "Reading the event…"));
    try {
      fill(block, jsonBlock(await actions.readWhole(entry), `Data of event ${entry.run_seq}`));
      whole.hidden = true;
    } catch (error) {
      fill(block, element("p", { class: "problem", role: "alert" }, /** @type {Error} */ (error).message));
    }
  };
  const whole = element(
    "button",
    { type: "button", class: "quiet", hidden: !isCut(entry), onclick: showAll },
    `Show all ${bytes(entry.size)}`,
  );
  fill(
    details,
    element(
      "p",
      { class: "facts" },
      element("span", {}, "id ", element("code", {}, idOf(entry))),
      element("span", {}, bytes(entry.size)),
      entry.usage && element("span", {}, `${count(entry.usage.input)} tokens in, ${count(entry.usage.output)} out`),
      element("button", { type: "button", class: "quiet", onclick: () => actions.onLink(entry) }, "Copy link"),
      whole,
    ),
    block,
  );
}

/**
 * @param {Entry} entry
 * @param {Entry | undefined} previous
 */
function pause(entry, previous) {
  const follows = previous && previous.run_seq === entry.run_seq - 1;
  const ms = follows ? Math.max(0, entry.at - previous.at) : null;
  const share = ms === null ? 0 : Math.min(1, Math.log10(ms + 1) / Math.log10(LONGEST_MS));
  return element(
    "span",
    { class: "pause", vars: { "--share": share.toFixed(3) } },
    ms === null ? "" : `+${duration(ms)}`,
  );
}

/** @param {Entry} entry */
function tokens({ usage }) {
  if (!usage) return element("span", { class: "tokens" });
  const share = (/** @type {number} */ part) => Math.min(1, part / MOST_TOKENS).toFixed(3);
  return element(
    "span",
    { class: "tokens", vars: { "--input": share(usage.input), "--output": share(usage.output) } },
    shortCount(usage.input + usage.output),
  );
}
