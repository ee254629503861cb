/**
 * Follows one run: from any event on, over cut connections and killed gateways, to its end.
 *
 * The cursor is the last event that was handed out, so after a cut exactly what follows comes.
 */

import { apiUrl } from "./api.js";
import { credentialHeaders } from "./credential.js";
import { Problem, problemOf } from "./problem.js";
import { SseParser } from "./sse_parser.js";

/** @typedef {import("./sse_parser.js").Block} Block */
/** @typedef {"connecting" | "open" | "lost"} Connection */

const FIRST_PAUSE_MS = 400;
const MAX_PAUSE_MS = 10_000;
/** Gateways give a sign of life every five seconds unless they are told otherwise. */
const SILENCE_MS = 30_000;

export class RunStream {
  #run;
  #onConnection;
  #stopped = new AbortController();
  /** @type {AbortController | null} */
  #connection = null;
  #pause = FIRST_PAUSE_MS;

  /** The id of the last event handed out; `-1` is before the first. */
  cursor;

  /** Whether the run's end was read. */
  hasEnded = false;

  /**
   * @param {{thread_id: string, run_id: string}} run
   * @param {string} after The id of the last event that is known, or `-1`.
   * @param {(state: Connection) => void} onConnection
   */
  constructor(run, after, onConnection = () => {}) {
    this.#run = run;
    this.cursor = after;
    this.#onConnection = onConnection;
  }

  /** Read no more. */
  stop() {
    this.#stopped.abort();
    this.#connection?.abort();
  }

  /**
   * Break the connection, as a network does; it is opened again.
   *
   * @param {string} after The last event that counts as received; what came behind it comes again.
   */
  cut(after) {
    this.cursor = after;
    this.hasEnded = false;
    this.#connection?.abort();
  }

  /**
   * @returns {AsyncGenerator<Block[], void>} Events as they come, together what came together; a
   *   `gap` among them has no id. It ends with the run, and when it is stopped.
   * @throws {Problem} The run is gone, or not the caller's.
   */
  async *batches() {
    while (!this.hasEnded && !this.#stopped.signal.aborted) {
      this.#onConnection("connecting");
      try {
        yield* this.#read();
      } catch (error) {
        if (error instanceof Problem && !error.isTemporary) throw error;
      }
      if (this.hasEnded || this.#stopped.signal.aborted) return;
      this.#onConnection("lost");
      await this.#wait();
    }
  }

  async *#read() {
    const connection = (this.#connection = new AbortController());
    const { thread_id, run_id } = this.#run;
    const url = apiUrl(`threads/${thread_id}/runs/${run_id}/stream?stream_mode=*`);
    const headers = { ...credentialHeaders(), "Last-Event-ID": this.cursor };
    const options = /** @type {const} */ ({ cache: "no-store", credentials: "omit" });
    const response = await unlessSilent(connection, fetch(url, { ...options, headers, signal: connection.signal }));
    if (!response.ok) throw await problemOf(response);
    this.#onConnection("open");
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const decoder = new TextDecoder();
    const parser = new SseParser();
    while (true) {
      const { done, value } = await unlessSilent(connection, reader.read());
      if (done) return;
      const blocks = parser.push(decoder.decode(value, { stream: true }));
      for (const block of blocks) this.#note(block);
      if (blocks.length) yield blocks;
      if (this.hasEnded || connection.signal.aborted) return;
    }
  }

  /** @param {Block} block */
  #note(block) {
    this.#pause = FIRST_PAUSE_MS;
    if (block.id !== null) this.cursor = block.id;
    if (block.event === "end") this.hasEnded = true;
  }

  #wait() {
    const pause = this.#pause;
    this.#pause = Math.min(pause * 2, MAX_PAUSE_MS);
    const { signal } = this.#stopped;
    return new Promise((resolve) => {
      const goOn = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", goOn);
        resolve(undefined);
      };
      const timer = setTimeout(goOn, pause);
      signal.addEventListener("abort", goOn);
    });
  }
}

/**
 * @template Answer
 * @param {AbortController} connection Aborted when nothing comes for too long.
 * @param {Promise<Answer>} answer What the gateway is to send.
 */
async function unlessSilent(connection, answer) {
  const silence = setTimeout(() => connection.abort(), SILENCE_MS);
  try {
    return await answer;
  } finally {
    clearTimeout(silence);
  }
}
