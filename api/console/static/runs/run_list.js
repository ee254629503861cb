/**
 * The list of runs: as long as there are runs, with elements for what is in sight alone.
 *
 * Tells `visible-rows` when other rows come into sight, `sort` when a column is chosen, `selection`
 * when runs are chosen.
 */

import { element, fill, setAttribute } from "../dom/element.js";
import { COLUMNS, runRow } from "./run_row.js";

/** @typedef {import("./run_pages.js").Run} Run */

/** Rows above and below the sight: a quick scroll finds them drawn. */
const SPARE_ROWS = 10;
const PAGE_KEYS = /** @type {Record<string, number>} */ ({ PageDown: 1, PageUp: -1 });

export class RunList extends HTMLElement {
  /** @type {import("./run_pages.js").RunPages | null} */
  #pages = null;
  /** @type {Map<number, {run: Run | undefined, row: HTMLElement}>} */
  #drawn = new Map();
  /** @type {Map<string, Run>} */
  #selected = new Map();
  #active = 0;
  #frame = 0;
  #body = element("div", { class: "run-rows", role: "rowgroup" });
  #head = element("div", { class: "run-head", role: "row", "aria-rowindex": 1 });
  #all = /** @type {HTMLInputElement} */ (
    element("input", {
      type: "checkbox",
      "aria-label": "Select all runs under way that fit",
      title: "Select all runs under way that fit",
      onchange: () => this.#toggleAll(),
    })
  );

  isOperator = false;

  connectedCallback() {
    setAttribute(this, "role", "grid");
    setAttribute(this, "aria-label", "Runs");
    setAttribute(this, "aria-multiselectable", "true");
    fill(this, this.#head, this.#body);
    this.addEventListener("scroll", () => this.#plan(), { passive: true });
    this.#body.addEventListener("keydown", (event) => this.#onKey(event));
    this.#body.addEventListener("focusin", (event) => this.#noteFocus(event));
    new ResizeObserver(() => this.#plan()).observe(this);
  }

  /** @returns {Run[]} */
  get selection() {
    return [...this.#selected.values()];
  }

  /** @param {Run[]} runs */
  set selection(runs) {
    this.#selected = new Map(runs.map((run) => [run.run_id, run]));
    this.#all.checked = runs.length > 0;
    this.redraw();
    this.dispatchEvent(new CustomEvent("selection"));
  }

  /**
   * Show other runs, from the first one on.
   *
   * @param {import("./run_pages.js").RunPages} pages
   * @param {import("./run_query.js").RunQuery} query
   */
  show(pages, query) {
    this.#pages = pages;
    this.#active = 0;
    this.scrollTop = 0;
    this.#drawHead(query);
    this.redraw();
  }

  /** @returns {{first: number, last: number}} The rows in sight and some around them. */
  get visible() {
    const height = this.#rowHeight();
    const total = this.#pages?.total ?? 0;
    const rows = Math.ceil(this.clientHeight / height) + SPARE_ROWS;
    const first = Math.max(0, Math.floor(this.scrollTop / height) - SPARE_ROWS);
    return { first, last: Math.max(0, Math.min(total - 1, first + rows + SPARE_ROWS)) };
  }

  /** Draw what is in sight anew: runs have changed. */
  redraw() {
    this.#drawn.clear();
    this.#draw();
  }

  #rowHeight() {
    return Number.parseFloat(getComputedStyle(this).getPropertyValue("--row-height"));
  }

  #plan() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      this.#draw();
      this.dispatchEvent(new CustomEvent("visible-rows"));
    });
  }

  #draw() {
    const hadFocus = this.#body.contains(document.activeElement);
    const total = this.#pages?.total ?? 0;
    const { first, last } = this.visible;
    this.#body.style.setProperty("--rows", String(total));
    setAttribute(this, "aria-rowcount", total + 1);
    const rows = [];
    const drawn = new Map();
    for (let index = first; index <= last && index < total; index += 1) {
      const run = this.#pages?.at(index);
      const known = this.#drawn.get(index);
      const row = known && known.run === run ? known.row : this.#rowOf(index, run);
      drawn.set(index, { run, row });
      rows.push(row);
    }
    this.#drawn = drawn;
    fill(this.#body, rows);
    this.#markActive();
    if (hadFocus) this.#focusActive();
  }

  /**
   * @param {number} index
   * @param {Run | undefined} run
   */
  #rowOf(index, run) {
    if (!run) {
      return element("div", {
        class: "run-row unread",
        role: "row",
        "aria-rowindex": index + 2,
        "aria-busy": "true",
        vars: { "--index": index },
      });
    }
    const isSelected = this.#selected.has(run.run_id);
    const state = { index, isSelected, isOperator: this.isOperator, now: Date.now() };
    return runRow(run, state, (each, chosen) => this.#select(each, chosen));
  }

  /** @param {import("./run_query.js").RunQuery} query */
  #drawHead(query) {
    const columns = COLUMNS.filter((column) => this.isOperator || !column.operator);
    setAttribute(this, "aria-colcount", columns.length + 1);
    this.classList.toggle("with-users", this.isOperator);
    fill(
      this.#head,
      element("div", { class: "cell select", role: "columnheader" }, this.#all),
      columns.map((column) => this.#columnHead(column, query)),
    );
  }

  /**
   * @param {{name: string, title: string, sort?: string}} column
   * @param {import("./run_query.js").RunQuery} query
   */
  #columnHead({ name, title, sort }, query) {
    const isSorted = sort !== undefined && sort === query.sort;
    const direction = query.order === "asc" ? "ascending" : "descending";
    const choose = () => this.dispatchEvent(new CustomEvent("sort", { detail: sort }));
    const arrow = isSorted ? element("span", { "aria-hidden": "true" }, query.order === "asc" ? " ↑" : " ↓") : null;
    return element(
      "div",
      {
        class: `cell ${name}`,
        role: "columnheader",
        "aria-sort": sort ? (isSorted ? direction : "none") : null,
      },
      sort ? element("button", { type: "button", onclick: choose }, title, arrow) : title,
    );
  }

  /**
   * @param {Run} run
   * @param {boolean} isSelected
   */
  #select(run, isSelected) {
    if (isSelected) this.#selected.set(run.run_id, run);
    else this.#selected.delete(run.run_id);
    this.#all.checked = this.#selected.size > 0;
    this.redraw();
    this.dispatchEvent(new CustomEvent("selection"));
  }

  #toggleAll() {
    if (this.#all.checked) this.dispatchEvent(new CustomEvent("select-all"));
    else this.selection = [];
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const total = this.#pages?.total ?? 0;
    const page = Math.max(1, Math.floor(this.clientHeight / this.#rowHeight()) - 2);
    const steps = /** @type {Record<string, number>} */ ({
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: PAGE_KEYS.PageDown * page,
      PageUp: PAGE_KEYS.PageUp * page,
      Home: -total,
      End: total,
    });
    if (event.key in steps) {
      this.#moveTo(Math.min(total - 1, Math.max(0, this.#active + steps[event.key])));
    } else if (event.key === " ") {
      const run = this.#pages?.at(this.#active);
      if (run) this.#select(run, !this.#selected.has(run.run_id));
    } else {
      return;
    }
    event.preventDefault();
  }

  /** @param {number} index */
  #moveTo(index) {
    this.#active = index;
    const height = this.#rowHeight();
    const top = index * height;
    const room = this.clientHeight - this.#head.offsetHeight - height;
    if (top < this.scrollTop) this.scrollTop = top;
    else if (top > this.scrollTop + room) this.scrollTop = top - room;
    this.#draw();
    this.#focusActive();
    this.#plan();
  }

  /** @param {Event} event */
  #noteFocus(event) {
    const row = /** @type {HTMLElement} */ (event.target).closest("[aria-rowindex]");
    if (!row) return;
    this.#active = Number(row.getAttribute("aria-rowindex")) - 2;
    this.#markActive();
  }

  /** One row can be reached by the tab key, the others by arrows. */
  #markActive() {
    const nearest = this.#drawn.has(this.#active) ? this.#active : this.#drawn.keys().next().value;
    for (const [index, { row }] of this.#drawn) {
      row.querySelector("a")?.setAttribute("tabindex", index === nearest ? "0" : "-1");
    }
  }

  #focusActive() {
    this.#drawn.get(this.#active)?.row.querySelector("a")?.focus({ preventScroll: true });
  }
}

customElements.define("run-list", RunList);
