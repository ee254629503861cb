/** Chooses which runs are shown; tells `filter` with the changed part of the query. */

import { element, fill } from "../dom/element.js";
import { shortCount } from "../dom/format.js";
import { SPANS } from "./run_query.js";
import { STATUSES, statusMark } from "./statuses.js";

/** @typedef {import("./run_query.js").RunQuery} RunQuery */

/** A letter more is no other question yet. */
const TYPING_MS = 300;
const SPAN_NAMES = { "15m": "Last 15 min", "1h": "Last hour", "24h": "Last 24 h", "7d": "Last 7 days" };

export class RunFilters extends HTMLElement {
  /** @type {Map<string, {button: HTMLElement, number: HTMLElement}>} */
  #statuses = new Map();
  /** @type {RunQuery} */
  #query = /** @type {any} */ (null);
  #typing = 0;

  isOperator = false;

  /**
   * Show what is chosen.
   *
   * @param {RunQuery} query
   */
  show(query) {
    const isFirst = this.#query === null;
    this.#query = query;
    if (isFirst) this.#build();
    for (const [status, { button }] of this.#statuses) {
      button.setAttribute("aria-pressed", String(query.status.includes(status)));
    }
    for (const input of this.querySelectorAll("input, select")) {
      const field = /** @type {HTMLInputElement} */ (input);
      // What is being typed stays.
      if (field !== document.activeElement) field.value = this.#valueOf(field.name);
    }
    this.classList.toggle("with-times", this.#spanOf(query) === "custom");
  }

  /** @param {Record<string, number>} counts By status. */
  showCounts(counts) {
    for (const [status, { number }] of this.#statuses) {
      number.textContent = shortCount(counts[status] ?? 0);
    }
  }

  #build() {
    fill(
      this,
      this.#text("text", "search", "Search", "Id, assistant, error or metadata"),
      element("div", { class: "statuses", role: "group", "aria-label": "Status" }, STATUSES.map((each) => this.#status(each))),
      this.#text("assistant", "text", "Assistant", "Any"),
      this.isOperator && this.#text("user", "text", "User", "Any"),
      this.#text("thread", "text", "Thread", "Any"),
      this.#span(),
      this.#time("from", "From"),
      this.#time("to", "Until"),
    );
  }

  /** @param {string} status */
  #status(status) {
    const number = element("span", { class: "number" }, "·");
    const choose = () => {
      const chosen = new Set(this.#query.status);
      if (!chosen.delete(status)) chosen.add(status);
      this.#tell({ status: STATUSES.filter((each) => chosen.has(each)) });
    };
    const button = element(
      "button",
      { type: "button", class: "chip", "aria-pressed": "false", onclick: choose },
      statusMark(status),
      number,
    );
    this.#statuses.set(status, { button, number });
    return button;
  }

  /**
   * @param {keyof RunQuery} name
   * @param {string} type
   * @param {string} label
   * @param {string} placeholder
   */
  #text(name, type, label, placeholder) {
    const input = /** @type {HTMLInputElement} */ (
      element("input", { name, type, placeholder, maxlength: 256, autocomplete: "off", spellcheck: "false" })
    );
    input.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#tell({ [name]: input.value.trim() }), TYPING_MS);
    });
    return element("label", { class: `field ${name}` }, element("span", {}, label), input);
  }

  #span() {
    const select = /** @type {HTMLSelectElement} */ (
      element(
        "select",
        { name: "span" },
        element("option", { value: "" }, "Any time"),
        Object.keys(SPANS).map((name) =>
          element("option", { value: name }, SPAN_NAMES[/** @type {keyof SPANS} */ (name)]),
        ),
        element("option", { value: "custom" }, "Between…"),
      )
    );
    select.addEventListener("change", () => {
      this.classList.toggle("with-times", select.value === "custom");
      if (select.value === "custom") return;
      this.#tell({ span: select.value, from: "", to: "" });
    });
    return element("label", { class: "field span" }, element("span", {}, "Created"), select);
  }

  /**
   * @param {"from" | "to"} name
   * @param {string} label
   */
  #time(name, label) {
    const input = /** @type {HTMLInputElement} */ (element("input", { name, type: "datetime-local" }));
    input.addEventListener("change", () => this.#tell({ span: "", [name]: input.value }));
    return element("label", { class: `field time ${name}` }, element("span", {}, label), input);
  }

  /** @param {string} name */
  #valueOf(name) {
    if (name === "span") return this.#spanOf(this.#query);
    return String(this.#query[/** @type {keyof RunQuery} */ (name)] ?? "");
  }

  /** @param {RunQuery} query */
  #spanOf(query) {
    return query.from || query.to ? "custom" : query.span;
  }

  /** @param {Partial<RunQuery>} change */
  #tell(change) {
    this.dispatchEvent(new CustomEvent("filter", { detail: change }));
  }
}

customElements.define("run-filters", RunFilters);
