/** What an operator should know about the system, and do: read off its state, worst first. */

import { bytes, counted, duration } from "../dom/format.js";

/**
 * @typedef {object} Finding
 * @property {"bad" | "fair"} kind
 * @property {string} what
 * @property {string} advice
 */

/** A log that is fuller pushes back soon. */
const FULL = 0.8;
const LAG_S = 30;

/** @param {any} state As `GET /system` tells it. @returns {Finding[]} */
export function findingsOf(state) {
  return [...ofArchive(state), ...ofStreams(state), ...ofQueues(state)].sort((one, other) =>
    one.kind.localeCompare(other.kind),
  );
}

/** @param {any} state @returns {Finding[]} */
function ofArchive({ archive, durability }) {
  if (durability.profile === "cache") return [];
  if (archive === null || archive.state === "away") {
    const advice = "Start one with jetrun sink. Until then nothing is archived, and the log keeps what comes.";
    return [{ kind: "bad", what: "No sink writes the archive.", advice }];
  }
  if (archive.state === "failing") {
    const what = `The sink fails: ${archive.last_error ?? "it does not say why"}`;
    return [{ kind: "bad", what, advice: "It tries again by itself. Look at its disk and its log." }];
  }
  if (archive.state === "paused") {
    const advice = "jetrun sink resume lets it go on.";
    return [{ kind: "fair", what: "The sink is paused.", advice }];
  }
  if (archive.lag_s < LAG_S) return [];
  const what = `The archive is ${duration(archive.lag_s * 1000)} behind.`;
  return [{ kind: "fair", what, advice: "Nothing is lost: the log keeps what is not archived. Look at the sink’s disk." }];
}

/** @param {any} state @returns {Finding[]} */
function ofStreams({ streams }) {
  return streams.flatMap((/** @type {any} */ stream) => {
    const findings = /** @type {Finding[]} */ ([]);
    if (stream.max_bytes !== null && stream.bytes > FULL * stream.max_bytes) {
      const what = `${stream.name} holds ${bytes(stream.bytes)} of ${bytes(stream.max_bytes)}.`;
      findings.push({ kind: "bad", what, advice: "A full stream refuses what comes. Give it more room, or keep less." });
    }
    if (stream.behind.length) {
      const what = `${stream.name} lacks copies on ${stream.behind.join(", ")}.`;
      findings.push({ kind: "bad", what, advice: "Another loss may stop writes. Bring the servers back." });
    }
    return findings;
  });
}

/** @param {any} state @returns {Finding[]} */
function ofQueues({ queues }) {
  return queues
    .filter((/** @type {any} */ queue) => queue.waiting > 0 && queue.leased + queue.asking === 0)
    .map((/** @type {any} */ queue) => ({
      kind: "bad",
      what: `${counted(queue.waiting, "run")} of ${queue.executor} ${queue.waiting === 1 ? "waits" : "wait"}, and no worker has one.`,
      advice: "Start a worker that has this assistant: jetrun worker.",
    }));
}
