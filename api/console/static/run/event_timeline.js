/**
 * The timeline of one run: opens at its end or at an event, grows while the run goes on, and reads
 * what is scrolled to. It holds a window of the run, so a run may be as long as it likes.
 */

import { element, fill } from "../dom/element.js";
import { count } from "../dom/format.js";
import { notice } from "../dom/notice.js";
import { MIN_PAUSE_MS } from "../shell/refresh.js";
import { currentPlace, noteQuery } from "../shell/route.js";
import { idOf } from "./entry.js";
import { copyLink } from "./event_link.js";
import { EventList } from "./event_list.js";
import { EventPages } from "./event_pages.js";
import { EventWindow } from "./event_window.js";
import { LiveFeed } from "./live_feed.js";
import "./timeline_controls.js";
import { TimelineView } from "./timeline_view.js";

/** @typedef {import("./entry.js").Entry} Entry */

export class EventTimeline extends HTMLElement {
  /** @type {{thread_id: string, run_id: string}} */
  run = /** @type {any} */ (null);
  isUnderWay = false;

  #window = new EventWindow();
  #list = new EventList({ onLink: (entry) => copyLink(this.run, entry), readWhole: (entry) => this.#readWhole(entry) });
  #pages = /** @type {EventPages} */ (/** @type {any} */ (null));
  #controls = /** @type {import("./timeline_controls.js").TimelineControls} */ (element("timeline-controls"));
  #view = new TimelineView(this.#list, () => this.#onScroll(), () => this.#follows && this.#view.toBottom());
  /** @type {LiveFeed | null} */
  #feed = null;
  /** @type {Entry | null} The newest event of the run that is known. */
  #newest = null;
  #follows = false;
  #isReading = false;
  #settling = 0;
  /** Grows with everything that is shown instead of what was: late answers are for nobody. */
  #turn = 0;

  connectedCallback() {
    this.#controls.addEventListener("view", (event) => this.#show(/** @type {CustomEvent} */ (event).detail));
    this.#controls.addEventListener("go-to", (event) => this.#goTo(/** @type {CustomEvent} */ (event).detail));
    this.#controls.addEventListener("follow", (event) => this.#follow(/** @type {CustomEvent} */ (event).detail));
    fill(this, this.#controls, this.#view.root);
    this.#controls.show(currentPlace().query);
    this.#open();
  }

  disconnectedCallback() {
    this.#turn += 1;
    this.#feed?.stop();
    clearTimeout(this.#settling);
    this.#view.stop();
  }

  /** Begin anew with what the controls say. */
  async #open() {
    const turn = (this.#turn += 1);
    this.#pages = new EventPages(this.run, this.#controls.filter);
    this.#list.setRaw(this.#controls.isRaw);
    this.#window = new EventWindow();
    this.#view.say("Reading events…");
    const [seq, runSeq] = (currentPlace().query.get("event") ?? "").split("-").map(Number);
    this.#list.target = runSeq || 0;
    try {
      if (runSeq) {
        if (await this.#replace(this.#pages.around(seq), turn, false)) this.#lookAt(runSeq);
      } else {
        await this.#openEnd(turn);
      }
    } catch (error) {
      if (turn === this.#turn) this.#sayRefused(/** @type {Error} */ (error));
      return;
    }
    if (turn === this.#turn) this.#listen();
  }

  /** @param {number} turn */
  async #openEnd(turn) {
    if (await this.#replace(this.#pages.end(), turn, this.isUnderWay)) this.#view.toBottom();
  }

  /**
   * Show another part of the run.
   *
   * @param {Promise<import("./event_pages.js").Stretch>} reading
   * @param {number} turn
   * @param {boolean} follows
   * @returns {Promise<boolean>} Whether it is shown; it comes too late where it is not.
   */
  async #replace(reading, turn, follows) {
    const stretch = await reading;
    if (turn !== this.#turn) return false;
    this.#noteNewest(stretch.newest);
    this.#window.replace(stretch.entries, stretch);
    this.#setFollows(follows);
    this.#draw();
    return true;
  }

  /** @param {number} runSeq Of an event that was asked for. */
  #lookAt(runSeq) {
    if (this.#view.toEvent(runSeq)) return;
    notice(`Event ${count(runSeq)} is not there; this is where it would be.`, "bad");
  }

  /** Follow the run from its newest known event on, unless that is done already. */
  #listen() {
    if (this.#feed !== null || !this.isUnderWay) return;
    const after = this.#newest ? idOf(this.#newest) : "-1";
    this.#feed = new LiveFeed(this.run, after, {
      onEntries: (entries) => this.#take(entries),
      onGap: (missing, reason) => this.#noteGap(missing, reason),
      onConnection: (state) => this.#controls.showConnection(state),
      onEnd: () => this.#end(),
      onRefusal: (error) => {
        this.#feed = null; // another try opens another one
        this.#sayRefused(error);
      },
    });
    this.#feed.listen();
  }

  async #end() {
    this.isUnderWay = false;
    await this.#settle();
    this.dispatchEvent(new CustomEvent("run-ended", { bubbles: true }));
  }

  /** @param {Entry[]} entries */
  #take(entries) {
    this.#noteNewest(/** @type {Entry} */ (entries.at(-1)));
    if (this.#window.reachesEnd && this.#follows && !this.#pages.isFiltered) {
      this.#window.append(entries);
    } else {
      this.#window.reachesEnd = false; // what fits is read with the next records
    }
    this.#planDraw();
    this.#planSettling();
  }

  /**
   * @param {number | null} missing
   * @param {string} reason
   */
  #noteGap(missing, reason) {
    const first = (this.#newest?.run_seq ?? 0) + 1;
    this.#list.reasons.set(first, `the gateway counted ${missing ?? "an unknown number"} (${reason})`);
  }

  #planDraw() {
    this.#view.plan(() => {
      this.#draw();
      if (this.#follows) this.#view.toBottom();
    });
  }

  /** What came live lacks what only records tell; they are read together, and not often. */
  #planSettling() {
    if (this.#settling) return;
    this.#settling = setTimeout(() => {
      this.#settling = 0;
      this.#settle();
    }, MIN_PAUSE_MS);
  }

  async #settle() {
    const turn = this.#turn;
    const shown = this.#window;
    const from = shown.firstUnsettled ?? (this.#follows ? shown.last : undefined);
    const seq = shown.firstUnsettled ? shown.firstUnsettled.seq - 1 : (from?.seq ?? 0);
    if (!from && !this.#follows) return;
    try {
      const page = await this.#pages.after(seq);
      if (turn !== this.#turn) return;
      shown.settle(page.entries);
      if (this.#follows) shown.append(page.entries);
      if (this.#follows && !page.hasMore) shown.reachesEnd = true;
      if (page.entries.length) this.#noteNewest(/** @type {Entry} */ (page.entries.at(-1)));
      this.#planDraw();
      if (page.hasMore && shown.firstUnsettled) this.#planSettling();
      else if (page.hasMore && this.#follows) await this.#openEnd(turn);
    } catch {
      if (turn === this.#turn) this.#planSettling(); // the stream tells that the gateway is away
    }
  }

  #draw() {
    this.#view.draw(this.#window, !this.#pages.isFiltered);
    const isEmpty = this.#window.entries.length === 0;
    this.#view.say(isEmpty ? (this.#pages.isFiltered ? "No event fits the filter." : "No event yet.") : this.#ending());
    this.#showPlace();
  }

  #ending() {
    if (!this.#window.reachesEnd) return "";
    return this.isUnderWay ? "Waiting for the next event…" : "The run has ended.";
  }

  #onScroll() {
    if (this.#view.hasLeftEnd()) this.#follows = false;
    this.#showPlace();
    if (this.#isReading) return;
    if (this.#view.isNearStart && !this.#window.reachesStart) this.#readBefore();
    else if (this.#view.isNearEnd && !this.#window.reachesEnd) this.#readBehind();
  }

  async #readBefore() {
    const first = this.#window.first;
    if (first) await this.#read(() => this.#pages.before(first.seq), (page) => this.#window.prepend(page));
  }

  async #readBehind() {
    const last = this.#window.last;
    if (!last) return;
    await this.#read(() => this.#pages.after(last.seq), (page) => {
      this.#window.append(page.entries);
      this.#window.reachesEnd = !page.hasMore;
    });
  }

  /**
   * @param {() => Promise<import("./event_pages.js").EventPage>} read
   * @param {(page: import("./event_pages.js").EventPage) => void} take
   */
  async #read(read, take) {
    const turn = this.#turn;
    this.#isReading = true;
    try {
      const page = await read();
      if (turn !== this.#turn) return;
      take(page);
      this.#draw();
    } catch (error) {
      if (turn === this.#turn) notice(/** @type {Error} */ (error).message, "bad");
    } finally {
      this.#isReading = false;
    }
  }

  /** @param {Record<string, string>} change Of the query; nothing removes. */
  #show(change) {
    const { query } = currentPlace();
    for (const [name, value] of Object.entries(change)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    noteQuery(query);
    this.#open();
  }

  /** @param {number} runSeq */
  async #goTo(runSeq) {
    if (!this.#newest) return;
    const turn = (this.#turn += 1);
    try {
      const seq = await this.#pages.placeOf(runSeq, this.#newest);
      if (turn !== this.#turn) return;
      if (await this.#replace(this.#pages.around(seq), turn, false)) this.#lookAt(runSeq);
    } catch (error) {
      if (turn === this.#turn) notice(/** @type {Error} */ (error).message, "bad");
    }
  }

  /** @param {boolean} follows */
  async #follow(follows) {
    this.#setFollows(follows);
    if (!follows) return;
    const turn = (this.#turn += 1);
    try {
      if (!this.#window.reachesEnd) await this.#openEnd(turn);
    } catch (error) {
      if (turn === this.#turn) this.#sayRefused(/** @type {Error} */ (error));
      return;
    }
    if (turn !== this.#turn) return;
    this.#setFollows(true);
    this.#view.toBottom();
    this.#listen(); // the opening that would have done it may not have come to its end
  }

  /** @param {boolean} follows */
  #setFollows(follows) {
    this.#follows = follows;
    this.#showPlace();
  }

  /** @param {Entry | null} entry */
  #noteNewest(entry) {
    if (entry && entry.run_seq > (this.#newest?.run_seq ?? 0)) this.#newest = entry;
  }

  #showPlace() {
    const { at } = this.#view;
    const total = this.#newest?.run_seq ?? 0;
    const shown = this.#window.last?.run_seq ?? 0;
    const unseen = this.#follows ? 0 : total - shown;
    this.#controls.showPlace({ at, total, follows: this.#follows, isUnderWay: this.isUnderWay, unseen });
  }

  /** @param {Entry} entry */
  async #readWhole(entry) {
    const content = await this.#pages.content(entry.seq);
    if (content === undefined) throw new Error("The event is not there any more.");
    return JSON.stringify(content, null, 2);
  }

  /** @param {Error} error */
  #sayRefused(error) {
    this.#view.sayRefused(error, () => this.#open());
  }
}

customElements.define("event-timeline", EventTimeline);
