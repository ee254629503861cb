/** Says what has happened: seen for a while, and read aloud. */

import { element } from "./element.js";

const SEEN_MS = 6000;

/** @type {HTMLElement | null} */
let place = null;

/** The live region must be there before something is said in it. */
export function prepareNotices() {
  place ??= document.body.appendChild(element("div", { class: "notices", role: "status" }));
}

/**
 * @param {string} text
 * @param {"plain" | "bad"} [kind]
 */
export function notice(text, kind = "plain") {
  prepareNotices();
  const shown = element("p", { class: `notice ${kind}` }, text);
  place?.append(shown);
  setTimeout(() => shown.remove(), SEEN_MS);
}
