/** What of a timeline is in sight: its lines, how far they are scrolled, and a word below them. */

import { element, fill } from "../dom/element.js";
import { firstInSight, keepingSight } from "./sight.js";

/** Screens from an end of the lines at which more of them are wanted. */
const NEAR_SCREENS = 1.5;
/** So near to the end is at the end. */
const BOTTOM_PX = 24;

export class TimelineView {
  #list;
  #state = element("p", { class: "timeline-state", role: "status" });
  #frame = 0;
  /** How far it was scrolled at the last look. */
  #top = 0;

  root = element("div", { class: "timeline-scroll" });

  /**
   * @param {import("./event_list.js").EventList} list
   * @param {() => void} onScroll
   * @param {() => void} onResize
   */
  constructor(list, onScroll, onResize) {
    this.#list = list;
    this.root.append(list.root, this.#state);
    this.root.addEventListener("scroll", onScroll, { passive: true });
    new ResizeObserver(onResize).observe(this.root);
  }

  /** @returns {number} The number of the first event in sight; 0 without one. */
  get at() {
    return Number(firstInSight(this.root, this.#list.root)?.getAttribute("data-run-seq") ?? 0);
  }

  /** @returns {boolean} Whether what stands before the lines is wanted. */
  get isNearStart() {
    const { scrollTop, clientHeight } = this.root;
    return scrollTop < clientHeight * NEAR_SCREENS;
  }

  /** @returns {boolean} Whether what stands behind the lines is wanted. */
  get isNearEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.root;
    return scrollTop + clientHeight > scrollHeight - clientHeight * NEAR_SCREENS;
  }

  /** @returns {boolean} Whether somebody has scrolled up and away from the end since the last look. */
  hasLeftEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.root;
    // Only people scroll up; what grows and shrinks leaves the end behind, too.
    const isUp = scrollTop < this.#top;
    this.#top = scrollTop;
    return isUp && scrollTop + clientHeight < scrollHeight - BOTTOM_PX;
  }

  /**
   * @param {import("./event_window.js").EventWindow} shown
   * @param {boolean} withHoles Whether numbers that are not there are missing, and not filtered out.
   */
  draw(shown, withHoles) {
    keepingSight(this.root, this.#list.root, () => this.#list.draw(shown, withHoles));
  }

  /** @param {() => void} draw Called once before the next frame, however often it is planned. */
  plan(draw) {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(draw);
  }

  /** Draw nothing that was planned. */
  stop() {
    cancelAnimationFrame(this.#frame);
  }

  toBottom() {
    this.root.scrollTop = this.root.scrollHeight;
  }

  /** @param {number} runSeq @returns {boolean} Whether the event is there to be looked at. */
  toEvent(runSeq) {
    const row = this.#list.rowOf(runSeq);
    row?.scrollIntoView({ block: "center" });
    return row !== null;
  }

  /** @param {string} text */
  say(text) {
    this.#state.classList.remove("problem");
    if (this.#state.textContent !== text) this.#state.textContent = text;
  }

  /**
   * @param {Error} error
   * @param {() => void} onAgain
   */
  sayRefused(error, onAgain) {
    this.#state.classList.add("problem");
    const again = element("button", { type: "button", onclick: onAgain }, "Try again");
    fill(this.#state, `${error.message} `, again);
  }
}
