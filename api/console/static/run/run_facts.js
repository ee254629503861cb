/** What is known of a run beside its events: who, when, how long, how many tokens, how archived. */

import { element, fill } from "../dom/element.js";
import { count, counted, dateTime, duration } from "../dom/format.js";
import { oneLine } from "../dom/printable.js";
import { linkTo } from "../shell/route.js";
import { isUnderWay } from "../runs/statuses.js";

/** @typedef {import("../runs/run_pages.js").Run} Run */

/**
 * @typedef {object} Tiers
 * @property {number | null} logged_from
 * @property {number | null} logged_to
 * @property {number} archived_to
 * @property {number} behind
 */

const MAX_METADATA = 300;

export class RunFacts extends HTMLElement {
  /**
   * @param {Run} run
   * @param {Tiers | null} tiers
   * @param {boolean} withUser
   */
  show(run, tiers, withUser) {
    const fault = run.error && element("bdi", { class: "fault" }, oneLine(`${run.error.error}: ${run.error.message}`, 600));
    const metadata = Object.keys(run.metadata).length ? oneLine(run.metadata, MAX_METADATA) : null;
    fill(
      this,
      fault && element("p", { class: "run-fault" }, fault),
      element(
        "dl",
        {},
        fact("Assistant", run.graph_id),
        fact("Thread", element("a", { href: linkTo(["runs"], { thread: run.thread_id }), class: "id", title: "Runs of this thread" }, run.thread_id)),
        withUser && run.user_id && fact("User", run.user_id),
        fact("Created", element("time", { datetime: run.created_at }, dateTime(run.created_at))),
        fact("Attempt", run.attempt ? `${run.attempt}` : "not begun"),
        run.worker && fact("Worker", element("span", { class: "id" }, run.worker)),
        fact("Time", times(run)),
        run.usage && fact("Tokens", tokens(run.usage, run.model_name)),
        tiers && fact("Archive", archive(tiers)),
        metadata && fact("Metadata", element("bdi", {}, metadata)),
      ),
    );
  }
}

/**
 * @param {string} name
 * @param {import("../dom/element.js").Child} value
 */
function fact(name, value) {
  return element("div", { class: `fact ${name.toLowerCase()}` }, element("dt", {}, name), element("dd", {}, value));
}

/** @param {Run} run */
function times(run) {
  const end = run.ended_at ? Date.parse(run.ended_at) : Date.now();
  const begin = run.started_at ? Date.parse(run.started_at) : end;
  const waited = Math.max(0, begin - Date.parse(run.created_at));
  const ran = Math.max(0, end - begin);
  const goesOn = isUnderWay(run.status) ? " so far" : "";
  return twoBars(waited, ran, run.started_at ? `${duration(waited)} waited, ${duration(ran)} executed${goesOn}` : `${duration(waited)} waited${goesOn}`);
}

/**
 * @param {{input_tokens: number, output_tokens: number}} usage
 * @param {string | null} model
 */
function tokens({ input_tokens, output_tokens }, model) {
  const text = `${count(input_tokens)} in, ${count(output_tokens)} out${model ? `, ${oneLine(model, 40)}` : ""}`;
  return twoBars(input_tokens, output_tokens, text);
}

/** @param {Tiers} tiers */
function archive({ logged_from, logged_to, archived_to, behind }) {
  if (logged_to === null) return `all ${counted(archived_to, "event")}; they have left the log`;
  const left = logged_from !== null && logged_from > 1 ? `; the log holds ${count(logged_from)} and on` : "";
  if (behind === 0) return `complete, ${counted(archived_to, "event")}${left}`;
  return element(
    "span",
    { class: "behind" },
    archived_to === 0 ? `not written yet, ${counted(behind, "event")} behind` : `to ${count(archived_to)} of ${count(logged_to)}, ${count(behind)} behind${left}`,
  );
}

/**
 * @param {number} first
 * @param {number} second
 * @param {string} text
 */
function twoBars(first, second, text) {
  const share = first + second > 0 ? first / (first + second) : 0;
  return element(
    "span",
    { class: "measure" },
    element("span", { class: "two-bars", "aria-hidden": "true", vars: { "--first": share.toFixed(4) } }),
    text,
  );
}

customElements.define("run-facts", RunFacts);
