/** Reads a run's records: from its end, around a place, or one whole. */

import { getJson } from "../http/api.js";
import { entryOfRecord } from "./entry.js";

/** @typedef {import("./entry.js").Entry} Entry */

export const PAGE_EVENTS = 100;
/** Above every sequence that there is. */
const END = Number.MAX_SAFE_INTEGER;
const MAX_GUESSES = 16;

/**
 * @typedef {object} EventFilter
 * @property {string} category Or nothing.
 * @property {string} events Names, with commas between, or nothing.
 */

/**
 * @typedef {object} EventPage
 * @property {Entry[]} entries Ascending.
 * @property {boolean} hasMore Whether there are more on the side that was read towards.
 */

/**
 * @typedef {object} Stretch
 * @property {Entry[]} entries Ascending, without a break.
 * @property {boolean} reachesStart Whether nothing comes before.
 * @property {boolean} reachesEnd Whether nothing comes behind, as far as is known.
 * @property {Entry | null} newest The run's newest event, whatever the filter.
 */

export class EventPages {
  #path;
  #filter;

  /**
   * @param {{thread_id: string, run_id: string}} run
   * @param {EventFilter} filter
   */
  constructor(run, filter) {
    this.#path = `threads/${run.thread_id}/runs/${run.run_id}/events`;
    this.#filter = filter;
  }

  /** @returns {boolean} Whether events are left out that the run has. */
  get isFiltered() {
    return Boolean(this.#filter.category || this.#filter.events);
  }

  /** @param {number} [seq] Without one: the last ones. @returns {Promise<EventPage>} */
  before(seq = END) {
    return this.#read({ before_seq: seq, limit: PAGE_EVENTS }, this.#filter);
  }

  /** @param {number} seq @returns {Promise<EventPage>} */
  after(seq) {
    return this.#read({ after_seq: seq, limit: PAGE_EVENTS }, this.#filter);
  }

  /** @returns {Promise<Stretch>} The last ones. */
  async end() {
    const { entries, hasMore } = await this.before();
    // With a filter the last one shown is not the run's last one.
    const newest = this.isFiltered ? await this.newest() : (entries.at(-1) ?? null);
    return { entries, reachesStart: !hasMore, reachesEnd: true, newest };
  }

  /** @param {number} seq @returns {Promise<Stretch>} What stands before a place, and from it on. */
  async around(seq) {
    const [before, behind, newest] = await Promise.all([this.before(seq), this.after(seq - 1), this.newest()]);
    const entries = [...before.entries, ...behind.entries];
    return { entries, reachesStart: !before.hasMore, reachesEnd: !behind.hasMore, newest };
  }

  /** @returns {Promise<Entry | null>} The newest event, whatever the filter. */
  async newest() {
    return (await this.#read({ before_seq: END, limit: 1 })).entries[0] ?? null;
  }

  /**
   * @param {number} seq
   * @returns {Promise<unknown>} The whole content of one event.
   */
  async content(seq) {
    const page = await getJson(`${this.#path}?after_seq=${seq - 1}&limit=1`);
    return page.data[0]?.seq === seq ? page.data[0].content : undefined;
  }

  /**
   * Find where an event stands in the log, by its number in the run: both ascend, so a place in
   * between is guessed, and guessed better.
   *
   * @param {number} runSeq
   * @param {Entry} newest
   * @returns {Promise<number>} The sequence of an event at most half a page from it.
   */
  async placeOf(runSeq, newest) {
    let [low] = (await this.#read({ after_seq: 0, limit: 1 })).entries;
    let high = newest;
    for (let guesses = 0; low && guesses < MAX_GUESSES; guesses += 1) {
      if (runSeq - low.run_seq < PAGE_EVENTS / 2) return low.seq;
      if (high.run_seq - runSeq < PAGE_EVENTS / 2) return high.seq;
      const share = (runSeq - low.run_seq) / (high.run_seq - low.run_seq);
      const guess = low.seq + Math.floor((high.seq - low.seq) * share);
      const [found] = (await this.#read({ after_seq: Math.max(low.seq, guess - 1), limit: 1 })).entries;
      if (!found || found.seq >= high.seq) high = { ...high, seq: guess };
      else if (found.run_seq > runSeq) high = found;
      else low = found;
    }
    return (low ?? high).seq;
  }

  /**
   * @param {Record<string, number>} place
   * @param {EventFilter} [filter]
   * @returns {Promise<EventPage>}
   */
  async #read(place, filter) {
    const query = new URLSearchParams(Object.entries(place).map(([name, value]) => [name, String(value)]));
    if (filter?.category) query.set("category", filter.category);
    if (filter?.events) query.set("event_type", filter.events);
    const page = await getJson(`${this.#path}?${query}`);
    return { entries: page.data.map(entryOfRecord), hasMore: page.has_more };
  }
}
