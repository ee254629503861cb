/**
 * One trial: reads a run over a stream that is cut again and again, and compares what came with what
 * the records say, which are read by another way.
 */

import { getJson } from "../http/api.js";
import { RunStream } from "../http/run_stream.js";
import { Received } from "./received.js";

/**
 * @typedef {object} Leg One connection.
 * @property {string} after The cursor that it was opened with.
 * @property {number} first The number of the first event that came over it; 0: none did.
 * @property {number} last
 * @property {import("../run/run_facts.js").Tiers | null} tiers How log and archive were when it was
 *   opened; `null`: nobody answered.
 * @property {"open" | "cut" | "broken" | "ended"} state `cut` by the trial, `broken` by others.
 */

/**
 * @typedef {object} Verdict
 * @property {number} events How many were compared.
 * @property {number} different Events that stand elsewhere, or that one of both has not.
 * @property {number} skipped
 * @property {number} repeated
 * @property {number} told
 */

const PAGE = 1000;

export class Trial {
  #run;
  #cuts;
  #onChange;
  #path;
  /** @type {RunStream} */
  #stream;
  #received = new Received();

  /** @type {Leg[]} */
  legs = [];
  /** @type {Verdict | null} */
  verdict = null;

  /**
   * @param {{thread_id: string, run_id: string}} run
   * @param {Iterator<number>} cuts Numbers of events behind which the stream is cut, ascending.
   * @param {() => void} onChange Called with every step.
   */
  constructor(run, cuts, onChange) {
    this.#run = run;
    this.#cuts = cuts;
    this.#onChange = onChange;
    this.#path = `threads/${run.thread_id}/runs/${run.run_id}`;
    this.#stream = new RunStream(run, "-1", (state) => this.#noteConnection(state));
  }

  /** @returns {Received} */
  get received() {
    return this.#received;
  }

  /** Read no more, and compare what has come. */
  stop() {
    this.#stream.stop();
  }

  /**
   * Read to the end, or until it is stopped; then compare.
   *
   * @throws {import("../http/problem.js").Problem} The run is gone, or records cannot be read.
   */
  async go() {
    let nextCut = this.#cuts.next().value ?? Infinity;
    for await (const blocks of this.#stream.batches()) {
      for (const block of blocks) {
        this.#take(block);
        if (this.#received.last < nextCut || block.event === "end") continue;
        nextCut = this.#cuts.next().value ?? Infinity;
        this.#close("cut");
        this.#stream.cut(/** @type {string} */ (block.id ?? this.#stream.cursor));
        break; // what else has come counts as never received
      }
      this.#onChange();
    }
    this.#close("ended");
    this.verdict = await this.#compare();
    this.#onChange();
  }

  /** @param {import("../http/sse_parser.js").Block} block */
  #take(block) {
    if (block.id === null) {
      this.#received.told += JSON.parse(block.data).missing ?? 0;
      return;
    }
    const leg = /** @type {Leg} */ (this.legs.at(-1));
    if (!this.#received.add(block.id)) return;
    leg.first ||= this.#received.last;
    leg.last = this.#received.last;
  }

  /** @param {import("../http/run_stream.js").Connection} state */
  #noteConnection(state) {
    if (state === "lost") this.#close("broken");
    if (state === "open") {
      const leg = /** @type {Leg} */ ({ after: this.#stream.cursor, first: 0, last: 0, tiers: null, state: "open" });
      this.legs.push(leg);
      this.#readTiers(leg);
    }
    this.#onChange();
  }

  /** @param {Leg} leg */
  async #readTiers(leg) {
    try {
      leg.tiers = await getJson(`${this.#path}/archive`);
      this.#onChange();
    } catch {
      leg.tiers = null; // shown as not known
    }
  }

  /** @param {"cut" | "broken" | "ended"} state */
  #close(state) {
    const leg = this.legs.at(-1);
    if (leg?.state === "open") leg.state = state;
  }

  /** @returns {Promise<Verdict>} */
  async #compare() {
    const { seqs, runSeqs, last, skipped, repeated, told } = this.#received;
    let compared = 0;
    let different = 0;
    let after = 0;
    for (let more = last > 0; more; ) {
      const page = await getJson(`${this.#path}/events?after_seq=${after}&limit=${PAGE}`);
      for (const record of page.data) {
        if (record.run_seq > last) break;
        if (seqs[compared] !== record.seq || runSeqs[compared] !== record.run_seq) different += 1;
        compared += 1;
      }
      after = page.data.at(-1)?.seq ?? after;
      more = page.has_more && page.data.at(-1)?.run_seq < last;
    }
    different += Math.abs(seqs.length - compared);
    return { events: compared, different, skipped, repeated, told };
  }
}

/** @param {Verdict} verdict @returns {boolean} Whether each event came once, in order, and no other. */
export function isExact({ different, skipped, repeated }) {
  return different === 0 && skipped === 0 && repeated === 0;
}
