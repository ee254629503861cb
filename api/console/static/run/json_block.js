/** Shows a JSON value as text, as much of it as a page bears at a time. */

import { element, fill } from "../dom/element.js";
import { bytes } from "../dom/format.js";
import { printable } from "../dom/printable.js";

/** Characters that are laid out at a time. */
const PORTION = 65_536;

/**
 * @param {string} text JSON; a part of one is shown as it is.
 * @returns {string} The same, indented.
 */
export function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/**
 * @param {string} text
 * @param {string} label What it is, for whoever cannot see where it stands.
 * @returns {HTMLElement}
 */
export function jsonBlock(text, label) {
  const shown = element("pre", { class: "json", tabindex: "0", role: "region", "aria-label": label, dir: "auto" });
  const more = element("button", { type: "button", class: "quiet", onclick: () => showMore() });
  let end = 0;
  const showMore = () => {
    const next = Math.min(text.length, end + PORTION);
    shown.append(printable(text.slice(end, next)));
    end = next;
    more.hidden = end === text.length;
    more.textContent = `Show more: ${bytes(end)} of ${bytes(text.length)}`;
  };
  showMore();
  const block = element("div", { class: "json-block" });
  fill(block, shown, more);
  return block;
}
