/** What a run was given, or what it returned: one JSON document, read when it is looked at. */

import { element, fill } from "../dom/element.js";
import { getJson } from "../http/api.js";
import { jsonBlock } from "./json_block.js";

export class RunDocument extends HTMLElement {
  #reading = new AbortController();

  disconnectedCallback() {
    this.#reading.abort();
  }

  /**
   * @param {string} path Of the document.
   * @param {string} label
   */
  async show(path, label) {
    const { signal } = this.#reading;
    fill(this, element("p", { class: "hint", role: "status" }, "Reading…"));
    try {
      const content = await getJson(path, { signal });
      fill(this, jsonBlock(JSON.stringify(content, null, 2), label));
    } catch (error) {
      if (signal.aborted) return;
      const again = () => this.show(path, label);
      fill(
        this,
        element("p", { class: "problem", role: "alert" }, /** @type {Error} */ (error).message),
        element("button", { type: "button", onclick: again }, "Try again"),
      );
    }
  }

  /** @param {string} text Why there is nothing to show. */
  say(text) {
    fill(this, element("p", { class: "hint" }, text));
  }
}

customElements.define("run-document", RunDocument);
