/**
 * What the list of runs shows: as people chose it, as the address keeps it, as the gateway is asked.
 */

import { STATUSES } from "./statuses.js";

export const SORTS = /** @type {const} */ (["created_at", "updated_at", "status", "run_id"]);
/** Spans of time by their names in the address, in minutes. */
export const SPANS = /** @type {const} */ ({ "15m": 15, "1h": 60, "24h": 1440, "7d": 10_080 });

/**
 * @typedef {object} RunQuery
 * @property {string[]} status None: any.
 * @property {string} assistant
 * @property {string} user
 * @property {string} thread
 * @property {string} text
 * @property {string} span A name of {@link SPANS}, or nothing.
 * @property {string} from Local date and time, as inputs give it, or nothing.
 * @property {string} to Likewise; up to then.
 * @property {string} sort
 * @property {"asc" | "desc"} order
 */

const TEXTS = /** @type {const} */ (["assistant", "user", "thread", "text", "from", "to"]);

/** @param {URLSearchParams} params @returns {RunQuery} What is not to be understood is left out. */
export function readRunQuery(params) {
  const texts = Object.fromEntries(TEXTS.map((name) => [name, params.get(name) ?? ""]));
  const sort = params.get("sort") ?? "";
  const span = params.get("span") ?? "";
  return {
    .../** @type {any} */ (texts),
    status: (params.get("status") ?? "").split(",").filter((each) => STATUSES.includes(/** @type {any} */ (each))),
    span: span in SPANS ? span : "",
    sort: SORTS.includes(/** @type {any} */ (sort)) ? sort : "created_at",
    order: params.get("order") === "asc" ? "asc" : "desc",
  };
}

/** @param {RunQuery} query @returns {URLSearchParams} What is usual is left out. */
export function writeRunQuery(query) {
  const params = new URLSearchParams();
  if (query.status.length) params.set("status", query.status.join(","));
  for (const name of TEXTS) {
    if (query[name]) params.set(name, query[name]);
  }
  if (query.span) params.set("span", query.span);
  if (query.sort !== "created_at") params.set("sort", query.sort);
  if (query.order !== "desc") params.set("order", query.order);
  return params;
}

/**
 * @param {RunQuery} query
 * @param {number} now Milliseconds.
 * @returns {Record<string, unknown>} The filter of searches and counts, without the status.
 */
export function filterOf(query, now) {
  const since = query.span
    ? new Date(now - SPANS[/** @type {keyof SPANS} */ (query.span)] * 60_000)
    : instant(query.from);
  const until = query.span ? null : instant(query.to);
  return {
    ...(query.assistant && { assistant_id: query.assistant }),
    ...(query.user && { user_id: query.user }),
    ...(query.thread && { thread_id: query.thread }),
    ...(query.text && { text: query.text.slice(0, 256) }),
    ...(since && { created_after: since.toISOString() }),
    ...(until && { created_before: until.toISOString() }),
  };
}

/**
 * @param {RunQuery} query
 * @param {number} now Milliseconds.
 * @returns {Record<string, unknown>} The body of a search, without its page.
 */
export function searchOf(query, now) {
  return {
    ...filterOf(query, now),
    ...(query.status.length && { status: query.status }),
    sort_by: query.sort,
    sort_order: query.order,
  };
}

/** @param {RunQuery} query @returns {boolean} Whether some runs are left out. */
export function isFiltered(query) {
  return writeRunQuery({ ...query, sort: "created_at", order: "desc" }).size > 0;
}

/** @param {string} local */
function instant(local) {
  const date = new Date(local);
  return local && !Number.isNaN(date.getTime()) ? date : null;
}
