/** Cuts the stream of a run on purpose, and shows that what comes back is exact. */

import { element, fill } from "../dom/element.js";
import { count, counted } from "../dom/format.js";
import { getJson } from "../http/api.js";
import { cutBehind, cutsAtRandom } from "./cuts.js";
import { legRow } from "./leg_row.js";
import { Trial, isExact } from "./trial.js";

const HEADINGS = ["", "Resumed after", "Events", "Where in the run", "Archive", "Log", "Live", "Connection"];
const MAX_CUTS = 50;

export class ReconnectLab extends HTMLElement {
  run = { thread_id: "", run_id: "" };

  /** @type {Trial | null} */
  #trial = null;
  #frame = 0;
  #number = /** @type {HTMLInputElement} */ (
    element("input", { type: "number", name: "number", min: 1, value: 5, "aria-label": "Number" })
  );
  #way = /** @type {HTMLSelectElement} */ (
    element(
      "select",
      { name: "way", "aria-label": "Where to cut" },
      element("option", { value: "at" }, "once, behind event number"),
      element("option", { value: "random" }, "at random, this often"),
    )
  );
  #start = element("button", { type: "submit", class: "primary" }, "Start");
  #stop = element("button", { type: "button", hidden: true, onclick: () => this.#trial?.stop() }, "Stop and compare");
  #verdict = element("p", { class: "verdict", role: "status" });
  #legs = element("tbody");
  #table = element(
    "table",
    { hidden: true },
    element("caption", {}, "Connections, and where their events came from"),
    element("thead", {}, element("tr", {}, HEADINGS.map((each) => element("th", { scope: "col" }, each)))),
    this.#legs,
  );

  connectedCallback() {
    const begin = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#go();
    };
    fill(
      this,
      element(
        "p",
        { class: "hint" },
        "Reads this run from its first event, cuts the connection on purpose, and resumes with the id of the last event. " +
          "What came is then compared with the stored records, event by event. Kill a gateway meanwhile, if you like.",
      ),
      element("form", { class: "lab-form", onsubmit: begin }, element("span", {}, "Cut the stream"), this.#way, this.#number, this.#start, this.#stop),
      this.#verdict,
      element("div", { class: "lab-table", tabindex: "0", role: "region", "aria-label": "Connections" }, this.#table),
    );
  }

  disconnectedCallback() {
    this.#trial?.stop();
    cancelAnimationFrame(this.#frame);
  }

  async #go() {
    this.#setBusy(true);
    try {
      const tiers = await getJson(`threads/${this.run.thread_id}/runs/${this.run.run_id}/archive`);
      const total = tiers.logged_to ?? tiers.archived_to;
      const isRandom = this.#way.value === "random";
      const number = Math.max(1, Math.floor(Number(this.#number.value)) || 1);
      const cuts = isRandom ? cutsAtRandom(Math.min(number, MAX_CUTS), total) : cutBehind(number);
      this.#trial = new Trial(this.run, cuts, () => this.#plan());
      await this.#trial.go();
    } catch (error) {
      this.#say("bad", /** @type {Error} */ (error).message);
    }
    this.#setBusy(false);
  }

  /** @param {boolean} isBusy */
  #setBusy(isBusy) {
    /** @type {HTMLButtonElement} */ (this.#start).disabled = isBusy;
    this.#stop.hidden = !isBusy;
    if (isBusy) this.#say("plain", "Connecting…");
  }

  #plan() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const trial = /** @type {Trial} */ (this.#trial);
    const total = trial.received.last;
    this.#table.hidden = trial.legs.length === 0;
    fill(this.#legs, trial.legs.map((leg, index) => legRow(leg, index, total)));
    if (trial.verdict) this.#judge(trial.verdict);
    else this.#say("plain", `${counted(trial.received.count, "event")} so far, over ${counted(trial.legs.length, "connection")}.`);
  }

  /** @param {import("./trial.js").Verdict} verdict */
  #judge(verdict) {
    const { events, different, skipped, repeated, told } = verdict;
    if (isExact(verdict)) {
      this.#say("good", `Exact: ${counted(events, "event")}, each once, in order, with the ids of the records.`);
    } else {
      const gap = told > 0 ? ` The gateway told of ${count(told)} missing.` : " The gateway told of none.";
      this.#say("bad", `Not exact: ${count(skipped)} missing, ${count(repeated)} repeated, ${count(different)} different from the records.${gap}`);
    }
  }

  /**
   * @param {"plain" | "good" | "bad"} kind
   * @param {string} text
   */
  #say(kind, text) {
    this.#verdict.dataset.kind = kind;
    if (this.#verdict.textContent !== text) this.#verdict.textContent = text;
  }
}

customElements.define("reconnect-lab", ReconnectLab);
