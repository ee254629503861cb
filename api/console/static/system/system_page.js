/** The page for operators: what the doctor says, then the facts as they are. */

import { element, fill } from "../dom/element.js";
import { bytes, count, counted, duration, shortId, timeOfDay } from "../dom/format.js";
import { getJson, postJson } from "../http/api.js";
import { Refresh } from "../shell/refresh.js";
import { linkTo, linkToRun } from "../shell/route.js";
import { factsTable, fillBar } from "./facts_table.js";
import { beganAt, workersOf } from "./workers.js";
import "./diagnosis.js";

const MAX_RUNNING = 1000;

export class SystemPage extends HTMLElement {
  #freshness = element("span", { class: "freshness" });
  #content = element("div");
  #refresh = new Refresh((signal) => this.#read(signal), (error) => this.#note(error));

  connectedCallback() {
    fill(
      this,
      element("div", { class: "page-head" }, element("h1", {}, "System"), this.#freshness),
      element("div", { class: "system" }, element("system-diagnosis"), this.#content),
    );
    fill(this.#content, element("p", { class: "hint", role: "status" }, "Asking the gateway…"));
    this.#refresh.now();
  }

  disconnectedCallback() {
    this.#refresh.stop();
  }

  /** @param {AbortSignal} signal */
  async #read(signal) {
    const wanted = { status: "running", limit: MAX_RUNNING, sort_order: "asc" };
    const [state, running] = await Promise.all([
      getJson("system", { signal }),
      postJson("runs/search", wanted, { signal }),
    ]);
    if (signal.aborted) return;
    // Tables are regions that can have the focus; it stays where it is.
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.getAttribute("aria-label");
    fill(
      this.#content,
      archive(state),
      workers(running),
      queues(state),
      streams(state),
      retention(state),
    );
    if (focused) /** @type {HTMLElement | null} */ (this.querySelector(`[aria-label="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {Error | null} error */
  #note(error) {
    const now = timeOfDay(new Date().toISOString()).slice(0, 8);
    this.#freshness.classList.toggle("stale", error !== null);
    this.#freshness.textContent = error === null ? `as of ${now}` : `${error.message} Trying again.`;
  }
}

/** @param {any} state */
function archive({ archive: sink }) {
  const rows = sink
    ? [[
        sink.state,
        element("span", { class: "id" }, sink.process),
        count(sink.lag_events),
        duration(sink.lag_s * 1000),
        count(Math.round(sink.events_per_s)),
        count(sink.failures),
        element("bdi", {}, sink.last_error ?? "–"),
      ]]
    : [];
  const columns = ["Sink", "Process", "Events behind#", "Behind for#", "Events/s#", "Failures#", "Last error"];
  return factsTable("Archive", columns, rows, "No sink has ever said anything.");
}

/** @param {import("../runs/run_pages.js").Run[]} running */
function workers(running) {
  const now = Date.now();
  const rows = workersOf(running).map(({ name, runs }) => {
    const [oldest] = runs;
    return [
      element("span", { class: "id" }, name),
      count(runs.length),
      element("a", { href: linkToRun(oldest), class: "id" }, shortId(oldest.run_id)),
      duration(now - beganAt(oldest)),
    ];
  });
  return factsTable("Workers", ["Worker", "Runs#", "Longest run", "For#"], rows, "No worker executes a run at this moment.");
}

/** @param {any} state */
function queues({ queues: all }) {
  const rows = all.map((/** @type {any} */ { executor, waiting, leased, asking, lease_s }) => [
    element("a", { href: linkTo(["runs"], { assistant: executor }) }, executor),
    count(waiting),
    count(leased),
    count(asking),
    duration(lease_s * 1000),
  ]);
  const columns = ["Assistant", "Waiting#", "Leased to workers#", "Workers asking#", "Lease#"];
  return factsTable("Jobs and leases", columns, rows, "No worker has ever asked for jobs. Start one: jetrun worker.");
}

/** @param {any} state */
function streams({ streams: all }) {
  const rows = all.map((/** @type {any} */ stream) => [
    element("span", { class: "id" }, stream.name),
    count(stream.messages),
    bytes(stream.bytes),
    stream.max_bytes === null ? "–" : bytes(stream.max_bytes),
    fillBar(stream.bytes, stream.max_bytes),
    count(stream.last_seq),
    count(stream.consumers),
    stream.behind.length ? `${stream.replicas}, behind: ${stream.behind.join(", ")}` : count(stream.replicas),
  ]);
  const columns = ["Stream", "Messages#", "Size#", "Limit#", "", "Last sequence#", "Consumers#", "Replicas#"];
  return factsTable("Streams", columns, rows, "There are none.");
}

/** @param {any} state */
function retention({ retention: kept }) {
  const rows = [
    ["Events of a run under way, once archived", counted(kept.max_events_per_run, "event")],
    ["Their payload", bytes(kept.max_bytes_per_run)],
    ["Runs in the log", counted(kept.max_runs, "run")],
    ["Events of an ended run", duration(kept.terminal_ttl_s * 1000)],
    ["The same, when nobody reads it", duration(kept.orphan_timeout_s * 1000)],
    ["The same, whoever reads it", duration(kept.max_age_s * 1000)],
    ["A silent run that nobody holds is ended after", duration(kept.no_publish_timeout_s * 1000)],
  ];
  return factsTable("Retention of the log", ["What", "Kept"], rows, "");
}

customElements.define("system-page", SystemPage);
