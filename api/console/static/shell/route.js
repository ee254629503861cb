/**
 * Where the page is: the part of the address behind `#`, which no server sees. A place is a path
 * and a query; whatever a page lets people choose stands in the query, so that a link shows the same.
 */

/**
 * @typedef {object} Place
 * @property {string[]} path Its parts, decoded.
 * @property {URLSearchParams} query
 */

/** @returns {Place} Where the page is now. */
export function currentPlace() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return {
    path: path.split("/").filter(Boolean).map(decoded),
    query: new URLSearchParams(query),
  };
}

/**
 * @param {string[]} path
 * @param {URLSearchParams | Record<string, string>} [query]
 * @returns {string} What a link to the place has as its address.
 */
export function linkTo(path, query = {}) {
  const text = new URLSearchParams(query).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/**
 * @param {{thread_id: string, run_id: string}} run
 * @param {Record<string, string>} [query]
 */
export function linkToRun(run, query) {
  return linkTo(["threads", run.thread_id, "runs", run.run_id], query);
}

/**
 * Change the query of the current place without a new entry in the history; nothing is loaded.
 *
 * @param {URLSearchParams} query
 */
export function noteQuery(query) {
  history.replaceState(null, "", linkTo(currentPlace().path, query));
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // somebody's broken link leads to nothing, and not to an error
  }
}
