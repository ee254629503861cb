/** Reads server-sent events out of text that comes in pieces. */

/**
 * @typedef {object} Block
 * @property {string | null} id `null`: it carries none.
 * @property {string} event
 * @property {string} data
 */

export class SseParser {
  #rest = "";
  /** Where the search for the next line break begins: a long line is not searched twice. */
  #searched = 0;
  /** @type {{id: string | null, event: string, data: string[]}} */
  #block = emptyBlock();

  /**
   * @param {string} text The next piece.
   * @returns {Block[]} What has become whole with it.
   */
  push(text) {
    const all = this.#rest + text;
    const blocks = [];
    let start = 0;
    let end = all.indexOf("\n", this.#searched);
    while (end >= 0) {
      const block = this.#line(all.slice(start, end));
      if (block) blocks.push(block);
      start = end + 1;
      end = all.indexOf("\n", start);
    }
    this.#rest = all.slice(start);
    this.#searched = this.#rest.length;
    return blocks;
  }

  /** @param {string} line @returns {Block | null} */
  #line(line) {
    if (line === "") return this.#finish();
    const colon = line.indexOf(":");
    const value = line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (line.startsWith("id:")) this.#block.id = value;
    else if (line.startsWith("event:")) this.#block.event = value;
    else if (line.startsWith("data:")) this.#block.data.push(value);
    return null; // anything else is a comment, or of no meaning here
  }

  #finish() {
    const { id, event, data } = this.#block;
    this.#block = emptyBlock();
    return data.length ? { id, event, data: data.join("\n") } : null;
  }
}

/** @returns {{id: string | null, event: string, data: string[]}} */
function emptyBlock() {
  return { id: null, event: "message", data: [] };
}
