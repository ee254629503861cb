/** What can be done with one run; tells `run-changed` when something was. */

import { ask } from "../dom/ask.js";
import { element, fill } from "../dom/element.js";
import { notice } from "../dom/notice.js";
import { apiUrl, postJson, request } from "../http/api.js";
import { isUnderWay } from "../runs/statuses.js";
import { may } from "../shell/caller.js";
import { linkToRun } from "../shell/route.js";

/** @typedef {import("../runs/run_pages.js").Run} Run */

export class RunActions extends HTMLElement {
  /** @type {Run} */
  #run = /** @type {any} */ (null);

  #cancelButton = element("button", { type: "button", class: "danger", onclick: () => this.#cancel() }, "Cancel run");
  #againButton = element("button", { type: "button", onclick: () => this.#again() }, "Run again");
  #downloadButton = element("button", { type: "button", onclick: () => this.#download() }, "Download JSONL");

  /**
   * @param {Run} run
   * @param {import("../shell/caller.js").Caller} caller
   * @param {boolean} isArchived Whether there is a file.
   */
  show(run, caller, isArchived) {
    this.#run = run;
    if (!this.hasChildNodes()) fill(this, this.#againButton, this.#downloadButton, this.#cancelButton);
    this.#cancelButton.hidden = !isUnderWay(run.status) || !may(caller, "operate");
    this.#againButton.hidden = !may(caller, "run");
    this.#againButton.title = "Start a run with the same input";
    /** @type {HTMLButtonElement} */ (this.#downloadButton).disabled = !isArchived;
    this.#downloadButton.title = isArchived ? "The run’s file of the archive" : "The archive has no file of this run yet";
  }

  get #path() {
    return `threads/${this.#run.thread_id}/runs/${this.#run.run_id}`;
  }

  async #cancel() {
    const explanation = "It ends with the status interrupted. What it has emitted stays.";
    if (!(await ask("Cancel this run?", explanation, "Cancel run"))) return;
    await this.#do(async () => {
      await request(`${this.#path}/cancel`, { method: "POST", body: {} });
      notice("The run is told to stop.");
      this.dispatchEvent(new CustomEvent("run-changed"));
    });
  }

  async #again() {
    await this.#do(async () => {
      const made = await postJson(`${this.#path}/again`, {});
      notice("A run with the same input is started.");
      location.hash = linkToRun(made);
    });
  }

  async #download() {
    await this.#do(async () => {
      // A link sends no headers; the token opens this run alone, and not for long.
      const { token } = await postJson(`${this.#path}/token`, {});
      const url = apiUrl(`${this.#path}/events.jsonl?${new URLSearchParams({ token })}`);
      element("a", { href: url.href, download: `${this.#run.run_id}.jsonl` }).click();
    });
  }

  /** @param {() => Promise<void>} work */
  async #do(work) {
    try {
      await work();
    } catch (error) {
      notice(/** @type {Error} */ (error).message, "bad");
    }
  }
}

customElements.define("run-actions", RunActions);
