/** What comes of a run while it goes on, in the timeline's terms. */

import { RunStream } from "../http/run_stream.js";
import { entryOfBlock } from "./entry.js";

/** @typedef {import("./entry.js").Entry} Entry */
/** @typedef {import("../http/run_stream.js").Connection} Connection */

/**
 * @typedef {object} Listener
 * @property {(entries: Entry[]) => void} onEntries Events, in order; those that came together at once.
 * @property {(missing: number | null, reason: string) => void} onGap Events are missing before the next ones.
 * @property {(state: Connection | "ended") => void} onConnection
 * @property {() => void} onEnd The run has ended.
 * @property {(error: Error) => void} onRefusal The run is gone, or not the caller's.
 */

export class LiveFeed {
  #stream;
  #listener;

  /**
   * @param {{thread_id: string, run_id: string}} run
   * @param {string} after The id of the last event that is known, or `-1`.
   * @param {Listener} listener
   */
  constructor(run, after, listener) {
    this.#listener = listener;
    this.#stream = new RunStream(run, after, (state) => listener.onConnection(state));
  }

  /** Listen until the run ends, or {@link stop}. */
  async listen() {
    try {
      for await (const blocks of this.#stream.batches()) this.#take(blocks);
    } catch (error) {
      this.#listener.onRefusal(/** @type {Error} */ (error));
    }
    if (!this.#stream.hasEnded) return;
    this.#listener.onConnection("ended");
    this.#listener.onEnd();
  }

  /** Listen no more. */
  stop() {
    this.#stream.stop();
  }

  /** @param {import("../http/sse_parser.js").Block[]} blocks */
  #take(blocks) {
    const entries = [];
    for (const block of blocks) {
      if (block.id === null) this.#takeGap(block.data);
      // The record of the run's last event tells more than this block.
      else if (block.event !== "end") entries.push(entryOfBlock(block));
    }
    if (entries.length) this.#listener.onEntries(entries);
  }

  /** @param {string} data */
  #takeGap(data) {
    const { missing, reason } = JSON.parse(data);
    this.#listener.onGap(missing, reason);
  }
}
