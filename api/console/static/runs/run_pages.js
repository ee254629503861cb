/**
 * The rows of a list that is too long to hold: pages of it around what is looked at, the others
 * forgotten. Runs that come and go between two readings move the rows behind them.
 */

import { request } from "../http/api.js";
import { searchOf } from "./run_query.js";

export const PAGE_ROWS = 100;
/** About fifty screens; more is read again when it is looked at. */
const MAX_PAGES = 20;

/**
 * @typedef {object} Run
 * @property {string} run_id
 * @property {string} thread_id
 * @property {string | null} assistant_id
 * @property {string} graph_id What executes it: a function's or a graph's name.
 * @property {string} status
 * @property {string} created_at
 * @property {string} updated_at
 * @property {string | null} started_at
 * @property {string | null} ended_at
 * @property {string | null} user_id
 * @property {number} attempt
 * @property {string | null} worker
 * @property {{error: string, message: string} | null} error
 * @property {string | null} model_name
 * @property {{input_tokens: number, output_tokens: number, total_tokens: number} | null} usage
 * @property {Record<string, unknown>} metadata
 * @property {Record<string, unknown>} kwargs
 * @property {string} multitask_strategy
 */

export class RunPages {
  /** @type {Map<number, Run[]>} By page number; the one looked at last stands last. */
  #pages = new Map();
  #query;

  /** How many runs fit, as of the last reading; `null`: not known yet. */
  total = /** @type {number | null} */ (null);

  /** @param {import("./run_query.js").RunQuery} query */
  constructor(query) {
    this.#query = query;
  }

  /** @param {number} index @returns {Run | undefined} Nothing, when it is not read. */
  at(index) {
    return this.#pages.get(Math.floor(index / PAGE_ROWS))?.[index % PAGE_ROWS];
  }

  /** @param {string} runId @returns {Run | undefined} */
  find(runId) {
    for (const page of this.#pages.values()) {
      const found = page.find((run) => run.run_id === runId);
      if (found) return found;
    }
    return undefined;
  }

  /**
   * Read the pages of some rows.
   *
   * @param {number} first
   * @param {number} last
   * @param {AbortSignal} signal
   * @param {boolean} again Whether those that are known are read again.
   */
  async read(first, last, signal, again) {
    const wanted = [];
    for (let page = Math.floor(first / PAGE_ROWS); page <= Math.floor(last / PAGE_ROWS); page += 1) {
      if (again || !this.#pages.has(page)) wanted.push(page);
    }
    await Promise.all(wanted.map((page) => this.#readPage(page, signal)));
  }

  /**
   * @param {number} number
   * @param {AbortSignal} signal
   */
  async #readPage(number, signal) {
    const body = {
      ...searchOf(this.#query, Date.now()),
      limit: PAGE_ROWS,
      offset: number * PAGE_ROWS,
    };
    const response = await request("runs/search", { method: "POST", body, signal });
    const rows = await response.json();
    this.total = Number(response.headers.get("X-Pagination-Total") ?? rows.length);
    this.#pages.delete(number);
    this.#pages.set(number, rows);
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= MAX_PAGES) break;
      this.#pages.delete(oldest);
    }
  }
}
