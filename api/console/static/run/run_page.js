/** The page of one run: its facts, what can be done with it, and one of its views. */

import { element, fill } from "../dom/element.js";
import { shortId } from "../dom/format.js";
import { prepareNotices } from "../dom/notice.js";
import { getJson } from "../http/api.js";
import { Problem } from "../http/problem.js";
import { isUnderWay, statusMark } from "../runs/statuses.js";
import { isOperator } from "../shell/caller.js";
import { Refresh } from "../shell/refresh.js";
import { linkTo, linkToRun } from "../shell/route.js";
import "../reconnect/reconnect_lab.js";
import "./event_timeline.js";
import "./run_actions.js";
import "./run_document.js";
import "./run_facts.js";

/** @typedef {import("../runs/run_pages.js").Run} Run */

const VIEWS = /** @type {const} */ ({ timeline: "Timeline", input: "Input", output: "Output", reconnect: "Reconnect lab" });

export class RunPage extends HTMLElement {
  /** @type {import("../shell/route.js").Place} */
  place = /** @type {any} */ (null);
  /** @type {import("../shell/caller.js").Caller} */
  caller = /** @type {any} */ (null);

  /** @type {Run | null} */
  #run = null;
  /** @type {import("./run_facts.js").Tiers | null} */
  #tiers = null;
  #ref = { thread_id: "", run_id: "" };
  #shown = "";
  #status = element("span", { class: "run-status" });
  #freshness = element("span", { class: "freshness" });
  #actions = /** @type {import("./run_actions.js").RunActions} */ (element("run-actions"));
  #facts = /** @type {import("./run_facts.js").RunFacts} */ (element("run-facts"));
  #tabs = element("nav", { class: "tabs", "aria-label": "Views of the run" });
  #view = element("div", { class: "view" });
  #refresh = new Refresh((signal) => this.#read(signal), (error) => this.#note(error));

  connectedCallback() {
    prepareNotices();
    const [, thread_id, , run_id] = this.place.path;
    this.#ref = { thread_id, run_id };
    fill(
      this,
      element(
        "div",
        { class: "page-head" },
        element("a", { href: linkTo(["runs"]) }, "Runs"),
        element("span", { class: "crumb", "aria-hidden": "true" }, "/"),
        element("h1", { class: "id", title: run_id }, shortId(run_id)),
        this.#status,
        this.#freshness,
        this.#actions,
      ),
      this.#facts,
      this.#tabs,
      this.#view,
    );
    this.#actions.addEventListener("run-changed", () => this.#refresh.now());
    this.addEventListener("run-ended", () => this.#refresh.now());
    this.#refresh.now();
  }

  disconnectedCallback() {
    this.#refresh.stop();
  }

  /** @param {import("../shell/route.js").Place} place */
  moveTo(place) {
    this.place = place;
    this.#shown = ""; // whoever changes the address wants to see what it says
    this.#showView();
  }

  /** @param {AbortSignal} signal */
  async #read(signal) {
    const path = `threads/${this.#ref.thread_id}/runs/${this.#ref.run_id}`;
    [this.#run, this.#tiers] = await Promise.all([
      getJson(path, { signal }),
      getJson(`${path}/archive`, { signal }),
    ]);
    if (signal.aborted) return;
    this.#draw();
  }

  #draw() {
    const run = /** @type {Run} */ (this.#run);
    fill(this.#status, statusMark(run.status));
    this.#actions.show(run, this.caller, (this.#tiers?.archived_to ?? 0) > 0);
    this.#facts.show(run, this.#tiers, isOperator(this.caller));
    this.#showView();
    if (!isUnderWay(run.status) && this.#tiers?.behind === 0) this.#refresh.stop();
  }

  get #tab() {
    const asked = this.place.query.get("tab") ?? "timeline";
    return asked in VIEWS ? /** @type {keyof VIEWS} */ (asked) : "timeline";
  }

  #showView() {
    const run = this.#run;
    if (run === null) return;
    const tab = this.#tab;
    fill(
      this.#tabs,
      Object.entries(VIEWS).map(([name, title]) => {
        const query = /** @type {Record<string, string>} */ (name === "timeline" ? {} : { tab: name });
        return element("a", { href: linkToRun(this.#ref, query), "aria-current": name === tab ? "true" : null }, title);
      }),
    );
    // The output is another one once the run has ended.
    const shown = tab === "output" ? `${tab} ${isUnderWay(run.status)}` : tab;
    if (shown === this.#shown) return;
    this.#shown = shown;
    fill(this.#view, this.#viewOf(tab, run));
  }

  /**
   * @param {keyof VIEWS} tab
   * @param {Run} run
   */
  #viewOf(tab, run) {
    if (tab === "timeline") {
      const timeline = /** @type {import("./event_timeline.js").EventTimeline} */ (element("event-timeline"));
      timeline.run = this.#ref;
      timeline.isUnderWay = isUnderWay(run.status);
      return timeline;
    }
    if (tab === "reconnect") {
      const lab = /** @type {import("../reconnect/reconnect_lab.js").ReconnectLab} */ (element("reconnect-lab"));
      lab.run = this.#ref;
      return lab;
    }
    const path = `threads/${this.#ref.thread_id}/runs/${this.#ref.run_id}`;
    const shown = /** @type {import("./run_document.js").RunDocument} */ (element("run-document"));
    if (tab === "input") shown.show(`${path}/input`, "What the run was given");
    else if (isUnderWay(run.status)) shown.say("The output is there once the run has ended.");
    else shown.show(`${path}/join`, "What the run returned");
    return shown;
  }

  /** @param {Error | null} error */
  #note(error) {
    this.#freshness.classList.toggle("stale", error !== null);
    this.#freshness.textContent = error === null ? "" : `${error.message} Trying again.`;
    if (this.#run !== null || !(error instanceof Problem) || error.isTemporary) return;
    this.#refresh.stop();
    this.#freshness.textContent = "";
    fill(
      this.#view,
      element(
        "div",
        { class: "empty", role: "alert" },
        element("h2", {}, error.message),
        element("p", {}, error.advice),
        element("a", { class: "button", href: linkTo(["runs"]) }, "All runs"),
      ),
    );
  }
}

customElements.define("run-page", RunPage);
