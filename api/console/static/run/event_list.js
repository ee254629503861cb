/**
 * Draws a window of events: a line for each, a hole where some are missing. Lines that stay are not
 * touched, and what is looked at does not move when lines come or go above it.
 */

import { element } from "../dom/element.js";
import { eventRow, holeRow } from "./event_row.js";

/** @typedef {import("./entry.js").Entry} Entry */
/** @typedef {import("./event_window.js").EventWindow} EventWindow */

/** Events that are open at one time at most: what was opened first closes. */
const MAX_OPEN = 50;

export class EventList {
  /** @type {Map<Entry, HTMLElement>} */
  #rows = new Map();
  /** @type {Map<number, HTMLElement>} Holes by the first number that is missing. */
  #holes = new Map();
  /** @type {Set<number>} Numbers of events that are open, or closed where all are open. */
  #toggled = new Set();
  #actions;
  #isRaw = false;

  /** Why events are missing, by the first missing number, as streams told it. @type {Map<number, string>} */
  reasons = new Map();

  /** The event that the address names. */
  target = 0;

  root = element("ol", { class: "events", role: "list", "aria-label": "Events", tabindex: "-1" });

  /** @param {Omit<import("./event_row.js").RowActions, "onToggle">} actions */
  constructor(actions) {
    this.#actions = { ...actions, onToggle: (/** @type {Entry} */ entry) => this.#noteToggle(entry) };
    this.root.addEventListener("keydown", (event) => this.#onKey(event));
    this.root.addEventListener("focusin", (event) => {
      this.#activate(/** @type {HTMLElement} */ (event.target).closest(".event-line"));
    });
  }

  /** @param {boolean} isRaw Whether every event is open unless it was closed. */
  setRaw(isRaw) {
    this.#isRaw = isRaw;
    this.#toggled.clear();
    this.clear();
  }

  /** Forget what is drawn. */
  clear() {
    this.#rows.clear();
    this.#holes.clear();
    this.root.replaceChildren();
  }

  /**
   * @param {EventWindow} shown
   * @param {boolean} withHoles Whether numbers that are not there are missing, and not filtered out.
   */
  draw(shown, withHoles) {
    const wanted = this.#wanted(shown, withHoles);
    const keep = new Set(wanted);
    for (const child of [...this.root.children]) {
      if (!keep.has(/** @type {HTMLElement} */ (child))) child.remove();
    }
    let place = this.root.firstChild;
    for (const row of wanted) {
      if (row === place) place = place.nextSibling;
      else this.root.insertBefore(row, place);
    }
    if (!this.root.querySelector('.event-line[tabindex="0"]')) {
      this.#activate(this.root.querySelector(".event-line"));
    }
  }

  /** @param {number} runSeq @returns {HTMLElement | null} */
  rowOf(runSeq) {
    return this.root.querySelector(`[data-run-seq="${runSeq}"]`);
  }

  /**
   * @param {EventWindow} shown
   * @param {boolean} withHoles
   * @returns {HTMLElement[]}
   */
  #wanted(shown, withHoles) {
    const wanted = [];
    const rows = new Map();
    const holes = new Map();
    let previous = /** @type {Entry | undefined} */ (undefined);
    for (const entry of shown.entries) {
      const next = previous ? previous.run_seq + 1 : shown.reachesStart ? 1 : entry.run_seq;
      if (withHoles && entry.run_seq > next) {
        const hole = this.#holes.get(next) ?? holeRow(next, entry.run_seq - 1, this.reasons.get(next));
        holes.set(next, hole);
        wanted.push(hole);
      }
      const row = this.#rows.get(entry) ?? this.#rowOf(entry, previous);
      rows.set(entry, row);
      wanted.push(row);
      previous = entry;
    }
    this.#rows = rows;
    this.#holes = holes;
    return wanted;
  }

  /**
   * @param {Entry} entry
   * @param {Entry | undefined} previous
   */
  #rowOf(entry, previous) {
    const isOpen = this.#isRaw !== this.#toggled.has(entry.run_seq);
    return eventRow(entry, { previous, isOpen, isTarget: entry.run_seq === this.target }, this.#actions);
  }

  /** @param {Entry} entry */
  #noteToggle({ run_seq }) {
    if (!this.#toggled.delete(run_seq)) this.#toggled.add(run_seq);
    const [oldest] = this.#toggled;
    if (this.#toggled.size > MAX_OPEN) this.#toggled.delete(oldest);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const line = /** @type {HTMLElement} */ (event.target).closest(".event-line");
    if (!line || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
    const lines = [...this.root.querySelectorAll(".event-line")];
    const next = lines[lines.indexOf(line) + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) /** @type {HTMLElement} */ (next).focus();
    event.preventDefault();
  }

  /** @param {Element | null} line The only one that the tab key reaches; arrows reach the others. */
  #activate(line) {
    if (!line) return;
    for (const each of this.root.querySelectorAll('.event-line[tabindex="0"]')) {
      each.setAttribute("tabindex", "-1");
    }
    line.setAttribute("tabindex", "0");
  }
}
