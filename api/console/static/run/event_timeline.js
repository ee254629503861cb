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
import { firstInSight, keepingSight } from "./sight.js";
import "./timeline_controls.js";

/** @typedef {import("./entry.js").Entry} Entry */

/** Screens from an end of the window at which more is read. */
const NEAR_SCREENS = 1.5;
/** So near to the end is at the end. */
const BOTTOM_PX = 24;

export class EventTimeline extends HTMLElement {
  /** @type {{thread_id: string, run_id: string}} */
  run = /** @type {any} */ (null);
  isUnderWay = false;

  #window = new EventWindow();
  #list = new EventList({ onLink: (entry) => copyLink(this.run, entry), readWhole: (entry) => this.#readWhole(entry) });
  #pages = /** @type {EventPages} */ (/** @type {any} */ (null));
  #controls = /** @type {import("./timeline_controls.js").TimelineControls} */ (element("timeline-controls"));
  #scroller = element("div", { class: "timeline-scroll" });
  #state = element("p", { class: "timeline-state", role: "status" });
  /** @type {LiveFeed | null} */
  #feed = null;
  /** @type {Entry | null} The newest event of the run that is known. */
  #newest = null;
  #follows = false;
  #isReading = false;
  #frame = 0;
  #settling = 0;
  /** How far it was scrolled at the last look. */
  #top = 0;
  /** Grows with everything that is shown instead of what was: late answers are for nobody. */
  #turn = 0;

  connectedCallback() {
    this.#controls.addEventListener("view", (event) => this.#show(/** @type {CustomEvent} */ (event).detail));
    this.#controls.addEventListener("go-to", (event) => this.#goTo(/** @type {CustomEvent} */ (event).detail));
    this.#controls.addEventListener("follow", (event) => this.#follow(/** @type {CustomEvent} */ (event).detail));
    this.#scroller.append(this.#list.root, this.#state);
    fill(this, this.#controls, this.#scroller);
    this.#scroller.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    new ResizeObserver(() => this.#follows && this.#toBottom()).observe(this.#scroller);
    this.#controls.show(currentPlace().query);
    this.#open();
  }

  disconnectedCallback() {
    this.#turn += 1;
    this.#feed?.stop();
    clearTimeout(this.#settling);
    cancelAnimationFrame(this.#frame);
  }

  /** Begin anew with what the controls say. */
  async #open() {
    const turn = (this.#turn += 1);
    this.#pages = new EventPages(this.run, this.#controls.filter);
    this.#list.setRaw(this.#controls.isRaw);
    this.#window = new EventWindow();
    this.#say("Reading events…");
    const [seq, runSeq] = (currentPlace().query.get("event") ?? "").split("-").map(Number);
    this.#list.target = runSeq || 0;
    try {
      if (runSeq) {
        await this.#openAt(seq, turn);
        if (turn === this.#turn) this.#lookAt(runSeq);
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
    const page = await this.#pages.before();
    if (turn !== this.#turn) return;
    // With a filter the last one shown is not the run's last one.
    const newest = this.#pages.isFiltered ? await this.#pages.newest() : (page.entries.at(-1) ?? null);
    if (turn !== this.#turn) return;
    this.#noteNewest(newest);
    this.#window.replace(page.entries, { reachesStart: !page.hasMore, reachesEnd: true });
    this.#setFollows(this.isUnderWay);
    this.#draw();
    this.#toBottom();
  }

  /**
   * @param {number} seq
   * @param {number} turn
   */
  async #openAt(seq, turn) {
    const [before, behind, newest] = await Promise.all([
      this.#pages.before(seq),
      this.#pages.after(seq - 1),
      this.#pages.newest(),
    ]);
    if (turn !== this.#turn) return;
    this.#noteNewest(newest);
    const ends = { reachesStart: !before.hasMore, reachesEnd: !behind.hasMore };
    this.#window.replace([...before.entries, ...behind.entries], ends);
    this.#setFollows(false);
    this.#draw();
  }

  /** @param {number} runSeq Of an event that was asked for. */
  #lookAt(runSeq) {
    const row = this.#list.rowOf(runSeq);
    row?.scrollIntoView({ block: "center" });
    if (!row) notice(`Event ${count(runSeq)} is not there; this is where it would be.`, "bad");
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
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      this.#draw();
      if (this.#follows) this.#toBottom();
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
    keepingSight(this.#scroller, this.#list.root, () => this.#list.draw(this.#window, !this.#pages.isFiltered));
    const isEmpty = this.#window.entries.length === 0;
    this.#say(isEmpty ? (this.#pages.isFiltered ? "No event fits the filter." : "No event yet.") : this.#ending());
    this.#showPlace();
  }

  #ending() {
    if (!this.#window.reachesEnd) return "";
    return this.isUnderWay ? "Waiting for the next event…" : "The run has ended.";
  }

  #onScroll() {
    const { scrollTop, clientHeight, scrollHeight } = this.#scroller;
    const isAtBottom = scrollTop + clientHeight >= scrollHeight - BOTTOM_PX;
    // Only people scroll up; what grows and shrinks leaves the end behind, too.
    if (this.#follows && scrollTop < this.#top && !isAtBottom) this.#setFollows(false);
    this.#top = scrollTop;
    this.#showPlace();
    if (this.#isReading) return;
    const near = clientHeight * NEAR_SCREENS;
    if (scrollTop < near && !this.#window.reachesStart) this.#readBefore();
    else if (scrollTop + clientHeight > scrollHeight - near && !this.#window.reachesEnd) this.#readBehind();
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
      await this.#openAt(seq, turn);
      if (turn === this.#turn) this.#lookAt(runSeq);
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
    this.#toBottom();
    this.#listen(); // the opening that would have done it may not have come to its end
  }

  /** @param {boolean} follows */
  #setFollows(follows) {
    this.#follows = follows;
    this.#showPlace();
  }

  #toBottom() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** @param {Entry | null} entry */
  #noteNewest(entry) {
    if (entry && entry.run_seq > (this.#newest?.run_seq ?? 0)) this.#newest = entry;
  }

  #showPlace() {
    const first = firstInSight(this.#scroller, this.#list.root);
    const at = Number(first?.getAttribute("data-run-seq") ?? 0);
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

  /** @param {string} text */
  #say(text) {
    this.#state.classList.remove("problem");
    if (this.#state.textContent !== text) this.#state.textContent = text;
  }

  /** @param {Error} error */
  #sayRefused(error) {
    this.#state.classList.add("problem");
    const again = element("button", { type: "button", onclick: () => this.#open() }, "Try again");
    fill(this.#state, `${error.message} `, again);
  }
}

customElements.define("event-timeline", EventTimeline);
