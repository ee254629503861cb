/** How the timeline is looked at: which events, how much of each, where, and whether it follows. */

import { element, fill, setAttribute } from "../dom/element.js";
import { count, counted } from "../dom/format.js";

const TYPING_MS = 400;
/** Those that jetrun itself writes; any other can be asked for by the address. */
const CATEGORIES = ["message", "stream", "outputs", "input", "interrupts", "lifecycle", "trace"];

/**
 * @typedef {object} PlaceInRun
 * @property {number} at The number of the first event in sight.
 * @property {number} total
 * @property {boolean} follows
 * @property {boolean} isUnderWay
 * @property {number} unseen Events that came while it did not follow.
 */

export class TimelineControls extends HTMLElement {
  isRaw = false;
  /** @type {import("./event_pages.js").EventFilter} */
  filter = { category: "", events: "" };

  #connection = element("span", { class: "connection", role: "status" });
  #place = element("output", { class: "place" });
  #slider = /** @type {HTMLInputElement} */ (
    element("input", { type: "range", min: 1, value: 1, "aria-label": "Go to event number" })
  );
  #followButton = element("button", { type: "button", class: "follow", "aria-pressed": "false" });
  #follows = false;

  /** @param {URLSearchParams} query What the address says. */
  show(query) {
    this.isRaw = query.get("view") === "raw";
    this.filter = { category: query.get("category") ?? "", events: query.get("events") ?? "" };
    this.#followButton.addEventListener("click", () => this.#tell("follow", !this.#follows));
    this.#slider.addEventListener("input", () => (this.#place.textContent = count(Number(this.#slider.value))));
    this.#slider.addEventListener("change", () => this.#tell("go-to", Number(this.#slider.value)));
    fill(
      this,
      element("div", { class: "views", role: "group", "aria-label": "View" }, this.#view("compact", false), this.#view("raw", true)),
      this.#categories(),
      this.#names(),
      element("span", { class: "space" }),
      this.#connection,
      this.#slider,
      this.#place,
      this.#followButton,
    );
  }

  /** @param {import("../http/run_stream.js").Connection | "ended"} state */
  showConnection(state) {
    const texts = { connecting: "connecting…", open: "live", lost: "cut off, trying again…", ended: "" };
    this.#connection.dataset.state = state;
    this.#connection.textContent = texts[state];
  }

  /** @param {PlaceInRun} place */
  showPlace({ at, total, follows, isUnderWay, unseen }) {
    this.#follows = follows;
    this.#slider.max = String(Math.max(1, total));
    if (document.activeElement !== this.#slider || !this.#slider.matches(":active")) {
      this.#slider.value = String(at);
    }
    this.#place.textContent = `${count(at)} of ${count(total)}`;
    setAttribute(this.#followButton, "aria-pressed", String(follows));
    const text = isUnderWay ? (follows ? "Following" : "Follow") : "To the end";
    this.#followButton.textContent = unseen > 0 && isUnderWay ? `${text}: ${counted(unseen, "new event")}` : text;
    if (!isUnderWay) this.#followButton.removeAttribute("aria-pressed");
  }

  /**
   * @param {string} name
   * @param {boolean} isRaw
   */
  #view(name, isRaw) {
    const button = element(
      "button",
      { type: "button", "aria-pressed": String(this.isRaw === isRaw), onclick: () => {
        this.isRaw = isRaw;
        for (const each of this.querySelectorAll(".views button")) {
          each.setAttribute("aria-pressed", String(each === button));
        }
        this.#tell("view", { view: isRaw ? "raw" : "", event: "" });
      } },
      isRaw ? "Raw" : "Compact",
    );
    return button;
  }

  #categories() {
    const known = new Set([...CATEGORIES, this.filter.category].filter(Boolean));
    const select = /** @type {HTMLSelectElement} */ (
      element(
        "select",
        { name: "category", "aria-label": "Category" },
        element("option", { value: "" }, "All categories"),
        [...known].map((each) => element("option", { value: each }, each)),
      )
    );
    select.value = this.filter.category;
    select.addEventListener("change", () => this.#choose({ category: select.value }));
    return select;
  }

  #names() {
    let typing = 0;
    const input = /** @type {HTMLInputElement} */ (
      element("input", {
        name: "events",
        type: "search",
        placeholder: "Event names",
        "aria-label": "Event names, with commas between",
        autocomplete: "off",
        spellcheck: "false",
      })
    );
    input.value = this.filter.events;
    input.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.#choose({ events: namesIn(input.value) }), TYPING_MS);
    });
    return input;
  }

  /** @param {Partial<import("./event_pages.js").EventFilter>} change */
  #choose(change) {
    this.filter = { ...this.filter, ...change };
    this.#tell("view", { ...change, event: "" });
  }

  /**
   * @param {string} name
   * @param {unknown} detail
   */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** @param {string} text */
function namesIn(text) {
  return text.split(",").map((name) => name.trim()).filter(Boolean).join(",");
}

customElements.define("timeline-controls", TimelineControls);
