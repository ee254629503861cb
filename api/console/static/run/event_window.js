/**
 * The part of a run that the timeline holds: a stretch of events without a break, as long as fits.
 * What is added at one end pushes out what stands at the other.
 */

/** @typedef {import("./entry.js").Entry} Entry */

export const MAX_ENTRIES = 500;

export class EventWindow {
  /** @type {Entry[]} Ascending. */
  entries = [];

  /** Whether nothing comes before. */
  reachesStart = false;

  /** Whether nothing comes behind, as far as is known. */
  reachesEnd = false;

  /** @returns {Entry | undefined} */
  get first() {
    return this.entries[0];
  }

  /** @returns {Entry | undefined} */
  get last() {
    return this.entries.at(-1);
  }

  /**
   * Hold something else.
   *
   * @param {Entry[]} entries
   * @param {{reachesStart: boolean, reachesEnd: boolean}} ends
   */
  replace(entries, { reachesStart, reachesEnd }) {
    this.entries = entries;
    this.reachesStart = reachesStart;
    this.reachesEnd = reachesEnd;
  }

  /** @param {import("./event_pages.js").EventPage} page What stands before. */
  prepend(page) {
    this.entries = [...page.entries, ...this.entries];
    this.reachesStart = !page.hasMore;
    if (this.entries.length > MAX_ENTRIES) {
      this.entries.length = MAX_ENTRIES;
      this.reachesEnd = false;
    }
  }

  /** @param {Entry[]} entries What stands behind; what is held already is passed over. */
  append(entries) {
    for (const entry of entries) {
      if (entry.run_seq > (this.last?.run_seq ?? 0)) this.entries.push(entry);
    }
    const excess = this.entries.length - MAX_ENTRIES;
    if (excess > 0) {
      this.entries.splice(0, excess);
      this.reachesStart = false;
    }
  }

  /** @returns {Entry | undefined} The first one whose record was not read yet. */
  get firstUnsettled() {
    return this.entries.find((entry) => entry.category === null);
  }

  /**
   * Take over what records tell of events that came live.
   *
   * @param {Entry[]} records
   */
  settle(records) {
    const known = new Map(records.map((entry) => [entry.run_seq, entry]));
    this.entries = this.entries.map((entry) => known.get(entry.run_seq) ?? entry);
  }
}
