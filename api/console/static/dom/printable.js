/**
 * Makes text harmless to look at: what cannot be seen, or turns its surroundings around, is shown
 * by its number. What is written from right to left stays as it is.
 */

/** Controls but tab and line feed; zero widths, bidi controls, line separators, lone surrogates. */
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/**
 * @param {string} text
 * @returns {string} The same with what is unseen as `\u202e` and the like.
 */
export function printable(text) {
  return text.replace(UNSEEN, (letter) => {
    return `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/**
 * @param {unknown} value Any JSON value; a text is shown without quotes.
 * @param {number} max Characters.
 * @returns {string} One line of it, cut off where it is longer.
 */
export function oneLine(value, max) {
  // Twice as much as is shown is enough to find out that there is more.
  const text = typeof value === "string" ? value : shortJson(value, max * 2);
  const line = printable(text.slice(0, max * 2)).replace(/\s+/g, " ");
  return line.length > max ? `${line.slice(0, max - 1)}…` : line;
}

/**
 * @param {unknown} value
 * @param {number} max Characters after which texts inside are cut: a megabyte is not made for a
 *   line of it.
 */
function shortJson(value, max) {
  const shortened = (/** @type {string} */ _, /** @type {unknown} */ inner) =>
    typeof inner === "string" && inner.length > max ? `${inner.slice(0, max)}…` : inner;
  return JSON.stringify(value, shortened) ?? "";
}
