/**
 * The key or token of whoever looks: in memory, or in the tab's session storage when they want to
 * reload the page. Never in a cookie, never in a URL.
 */

const NAME = "jetrun.credential";
const API_KEY = /^jrk_/;

let current = sessionStorage.getItem(NAME);

/** @returns {Record<string, string>} The headers that show the credential; none without one. */
export function credentialHeaders() {
  if (current === null) return {};
  return API_KEY.test(current) ? { "x-api-key": current } : { Authorization: `Bearer ${current}` };
}

/** @returns {boolean} */
export function hasCredential() {
  return current !== null;
}

/**
 * @param {string} credential
 * @param {boolean} isKept Whether a reload of the tab shall find it.
 */
export function signIn(credential, isKept) {
  current = credential;
  if (isKept) sessionStorage.setItem(NAME, credential);
}

/** Forget the credential. */
export function signOut() {
  current = null;
  sessionStorage.removeItem(NAME);
}
