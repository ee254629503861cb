/** What the doctor of this gateway says: what an acknowledged event survives, and what is wrong. */

import { element, fill } from "../dom/element.js";
import { getJson } from "../http/api.js";
import { bytes } from "../dom/format.js";

/**
 * @typedef {object} Report
 * @property {string | null} server_version
 * @property {string | null} durability
 * @property {string | null} survives
 * @property {number | null} logical_bytes
 * @property {number | null} disk_bytes
 * @property {{cause: string, severity: "note" | "warning" | "error", detail: string, advice: string}[]} findings
 */

export class SystemDiagnosis extends HTMLElement {
  #reading = new AbortController();

  connectedCallback() {
    this.#examine();
  }

  disconnectedCallback() {
    this.#reading.abort();
  }

  /** The doctor opens a connection of its own, so it is asked when somebody wants it to be. */
  async #examine() {
    const { signal } = this.#reading;
    this.#show(element("p", { class: "hint", role: "status" }, "Examining…"));
    try {
      const report = await getJson("doctor", { signal });
      this.#show(findings(report), durability(report));
    } catch (error) {
      if (signal.aborted) return;
      this.#show(element("p", { class: "problem", role: "alert" }, /** @type {Error} */ (error).message));
    }
  }

  /** @param {...HTMLElement} content */
  #show(...content) {
    const again = element("button", { type: "button", onclick: () => this.#examine() }, "Examine again");
    fill(this, element("div", { class: "section-head" }, element("h2", {}, "Diagnosis"), again), content);
  }
}

/** @param {Report} report */
function findings({ findings: found }) {
  if (found.length === 0) return element("p", { class: "verdict", "data-kind": "good" }, "Nothing is wrong.");
  return element(
    "ul",
    { class: "findings" },
    found.map(({ cause, severity, detail, advice }) =>
      element(
        "li",
        { "data-severity": severity },
        element("p", {}, element("strong", {}, severity), " ", element("bdi", {}, detail)),
        element("p", { class: "hint" }, element("bdi", {}, advice), " ", element("code", {}, cause)),
      ),
    ),
  );
}

/** @param {Report} report */
function durability({ durability: kind, survives, server_version, logical_bytes, disk_bytes }) {
  const facts = [
    ["Durability", kind ?? "not known"],
    ["An acknowledged event survives", survives ?? "not known"],
    ["nats-server", server_version ?? "not reached"],
    ["Streams", logical_bytes === null ? "not known" : bytes(logical_bytes)],
    ["On disk", disk_bytes === null ? "on another machine" : bytes(disk_bytes)],
  ];
  return element(
    "dl",
    { class: "facts-line" },
    facts.map(([name, value]) => element("div", { class: "fact" }, element("dt", {}, name), element("dd", {}, value))),
  );
}

customElements.define("system-diagnosis", SystemDiagnosis);
