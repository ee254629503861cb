/**
 * Who looks at the page, as `GET /info` tells it.
 *
 * @typedef {object} Caller
 * @property {string | null} user_id
 * @property {"user" | "operator"} role
 * @property {string[]} scopes
 */

/** @param {Caller} caller @returns {boolean} Whether everybody's runs are shown. */
export function isOperator(caller) {
  return caller.role === "operator";
}

/**
 * @param {Caller} caller
 * @param {"read" | "run" | "operate" | "publish"} scope
 */
export function may(caller, scope) {
  return caller.scopes.includes(scope);
}
