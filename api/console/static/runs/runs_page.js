/** The page of all runs: which there are, how they do, and how to stop many of them. */

import { ask } from "../dom/ask.js";
import { element, fill } from "../dom/element.js";
import { count, counted, timeOfDay } from "../dom/format.js";
import { notice, prepareNotices } from "../dom/notice.js";
import { postJson } from "../http/api.js";
import { isOperator, may } from "../shell/caller.js";
import { Refresh } from "../shell/refresh.js";
import { linkToRun, noteQuery } from "../shell/route.js";
import { cancelRuns } from "./cancelling.js";
import { RunPages } from "./run_pages.js";
import { filterOf, isFiltered, readRunQuery, searchOf, writeRunQuery } from "./run_query.js";
import { startSampleRun } from "./sample_run.js";
import { isUnderWay } from "./statuses.js";
import "./run_filters.js";
import "./run_list.js";

/** @typedef {import("./run_query.js").RunQuery} RunQuery */

/** As many as one search gives. */
const MAX_SELECTED = 1000;

export class RunsPage extends HTMLElement {
  /** @type {import("../shell/route.js").Place} */
  place = /** @type {any} */ (null);
  /** @type {import("../shell/caller.js").Caller} */
  caller = /** @type {any} */ (null);

  #query = /** @type {RunQuery} */ (/** @type {any} */ (null));
  #pages = /** @type {RunPages} */ (/** @type {any} */ (null));
  #filters = /** @type {import("./run_filters.js").RunFilters} */ (element("run-filters"));
  #list = /** @type {import("./run_list.js").RunList} */ (element("run-list"));
  #total = element("span", { class: "total" });
  #state = element("span", { class: "freshness" });
  #actions = element("div", { class: "actions", role: "group", "aria-label": "Selected runs" });
  #instead = element("div", { class: "empty" });
  #refresh = new Refresh((signal) => this.#read(signal, true), (error) => this.#note(error));
  /** Reads rows that have come into sight. */
  #scrolling = new AbortController();

  connectedCallback() {
    prepareNotices();
    this.#filters.isOperator = this.#list.isOperator = isOperator(this.caller);
    fill(
      this,
      element("div", { class: "page-head" }, element("h1", {}, "Runs"), this.#total, this.#state, this.#actions),
      this.#filters,
      this.#list,
      this.#instead,
    );
    this.#filters.addEventListener("filter", (event) => {
      this.#change(/** @type {CustomEvent} */ (event).detail);
    });
    this.#list.addEventListener("sort", (event) => this.#sort(/** @type {CustomEvent} */ (event).detail));
    this.#list.addEventListener("selection", () => this.#drawActions());
    this.#list.addEventListener("select-all", () => this.#selectAll());
    this.#list.addEventListener("visible-rows", () => this.#readVisible());
    this.moveTo(this.place);
  }

  disconnectedCallback() {
    this.#refresh.stop();
    this.#scrolling.abort();
  }

  /** @param {import("../shell/route.js").Place} place */
  moveTo(place) {
    this.#query = readRunQuery(place.query);
    this.#pages = new RunPages(this.#query);
    this.#filters.show(this.#query);
    this.#list.show(this.#pages, this.#query);
    this.#drawActions();
    this.#instead.hidden = true;
    this.#refresh.now();
  }

  /** @param {Partial<RunQuery>} change */
  #change(change) {
    const query = writeRunQuery({ ...this.#query, ...change });
    noteQuery(query);
    this.moveTo({ path: ["runs"], query });
  }

  /** @param {string} sort */
  #sort(sort) {
    const isSame = this.#query.sort === sort;
    this.#change({ sort, order: isSame && this.#query.order === "desc" ? "asc" : "desc" });
  }

  /**
   * @param {AbortSignal} signal
   * @param {boolean} again
   */
  async #read(signal, again) {
    const pages = this.#pages;
    const { first, last } = this.#list.visible;
    const [counts] = await Promise.all([
      postJson("runs/statuses/count", filterOf(this.#query, Date.now()), { signal }),
      pages.read(first, last, signal, again),
    ]);
    if (signal.aborted) return;
    this.#filters.showCounts(counts);
    this.#list.redraw();
    this.#drawTotal();
  }

  async #readVisible() {
    if (this.#pages.total === null) return; // the first rows are on their way
    this.#scrolling.abort();
    const { signal } = (this.#scrolling = new AbortController());
    const { first, last } = this.#list.visible;
    try {
      await this.#pages.read(first, last, signal, false);
      if (!signal.aborted) this.#list.redraw();
    } catch (error) {
      if (!signal.aborted) this.#note(/** @type {Error} */ (error));
    }
  }

  #drawTotal() {
    const total = this.#pages.total ?? 0;
    this.#total.textContent = isFiltered(this.#query) ? `${count(total)} that fit` : count(total);
    const isEmpty = total === 0;
    this.#list.hidden = isEmpty;
    this.#instead.hidden = !isEmpty;
    if (isEmpty) fill(this.#instead, isFiltered(this.#query) ? this.#nothingFits() : this.#nothingYet());
  }

  #nothingFits() {
    const clear = () => this.#change({ ...readRunQuery(new URLSearchParams()) });
    return [
      element("h2", {}, "No run fits"),
      element("p", {}, "Take a filter away, or look at all runs."),
      element("button", { type: "button", onclick: clear }, "Clear filters"),
    ];
  }

  #nothingYet() {
    return [
      element("h2", {}, "No runs yet"),
      element("p", {}, "A run is one execution of an assistant. Every event of it is stored before anybody sees it."),
      may(this.caller, "run") &&
        element("button", { type: "button", class: "primary", onclick: () => this.#startSample() }, "Start a sample run"),
    ];
  }

  async #startSample() {
    try {
      location.hash = linkToRun(await startSampleRun());
    } catch (error) {
      notice(/** @type {Error} */ (error).message, "bad");
    }
  }

  /** @param {Error | null} error */
  #note(error) {
    this.#state.classList.toggle("stale", error !== null);
    const now = timeOfDay(new Date().toISOString()).slice(0, 8);
    this.#state.textContent = error === null ? `as of ${now}` : `${error.message} Trying again.`;
  }

  #drawActions() {
    const runs = this.#list.selection;
    const stoppable = runs.filter((run) => isUnderWay(run.status));
    this.#actions.hidden = runs.length === 0;
    if (runs.length === 0) return;
    fill(
      this.#actions,
      element("span", {}, `${counted(runs.length, "run")} selected`),
      element("button", { type: "button", class: "quiet", onclick: () => (this.#list.selection = []) }, "Clear"),
      may(this.caller, "operate") &&
        element(
          "button",
          { type: "button", class: "danger", disabled: stoppable.length === 0, onclick: () => this.#cancel(stoppable) },
          `Cancel ${count(stoppable.length)}`,
        ),
    );
  }

  async #selectAll() {
    const body = { ...searchOf(this.#query, Date.now()), status: ["pending", "running"], limit: MAX_SELECTED };
    try {
      this.#list.selection = await postJson("runs/search", body);
      if (this.#list.selection.length === 0) notice("No run that fits is under way.");
    } catch (error) {
      notice(/** @type {Error} */ (error).message, "bad");
    }
  }

  /** @param {import("./run_pages.js").Run[]} runs */
  async #cancel(runs) {
    const question = `Cancel ${counted(runs.length, "run")}?`;
    const explanation = "They end with the status interrupted. Runs that have ended meanwhile stay as they are.";
    if (!(await ask(question, explanation, question.replace("?", "")))) return;
    const { runs: stopped, problems } = await cancelRuns(runs);
    if (problems.length) {
      notice(`${counted(stopped, "run")} cancelled; others not: ${problems[0].message}`, "bad");
    } else {
      notice(`${counted(stopped, "run")} cancelled.`);
    }
    this.#list.selection = [];
    this.#refresh.now();
  }
}

customElements.define("runs-page", RunsPage);
