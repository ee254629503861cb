/**
 * One event as the timeline keeps it: bounded, however large the event is.
 */

import { oneLine } from "../dom/printable.js";

/** Characters of an event that are kept; the rest is read when somebody wants to see it. */
export const MAX_KEPT = 16_384;
const MAX_SUMMARY = 240;

/**
 * @typedef {object} Usage
 * @property {number} input
 * @property {number} output
 */

/**
 * @typedef {object} Entry
 * @property {number} seq Its place in the log.
 * @property {number} run_seq Its number in the run.
 * @property {string} event
 * @property {string | null} category `null`: it came live, and only the record tells.
 * @property {number} at When it was published, or came, in milliseconds.
 * @property {string} text Its data as JSON, or the beginning of it.
 * @property {number} size Characters of the whole.
 * @property {string} summary What it says, in a line.
 * @property {number | null} attempt Which one begins with it, after the first.
 * @property {Usage | null} usage Tokens that it tells of.
 */

/**
 * @param {any} record As `GET .../events` lists it.
 * @returns {Entry}
 */
export function entryOfRecord(record) {
  return {
    seq: record.seq,
    run_seq: record.run_seq,
    event: record.event_type,
    category: record.category,
    at: Date.parse(record.created_at),
    ...kept(record.event_type, JSON.stringify(record.content), record.content),
  };
}

/**
 * @param {import("../http/sse_parser.js").Block} block One with an id.
 * @returns {Entry}
 */
export function entryOfBlock(block) {
  const [seq, run_seq] = /** @type {string} */ (block.id).split("-").map(Number);
  const content = block.data.length > MAX_KEPT ? null : parsed(block.data);
  return { seq, run_seq, event: block.event, category: null, at: Date.now(), ...kept(block.event, block.data, content) };
}

/** @param {Entry} entry @returns {string} */
export function idOf(entry) {
  return `${entry.seq}-${entry.run_seq}`;
}

/** @param {Entry} entry @returns {boolean} Whether there is more than is kept. */
export function isCut(entry) {
  return entry.size > entry.text.length;
}

/**
 * @param {string} event
 * @param {string} text
 * @param {any} content
 */
function kept(event, text, content) {
  const attempt = event === "metadata" && content?.attempt > 1 ? Number(content.attempt) : null;
  // A slice of a long text would keep all of it in memory.
  const shortened = text.length > MAX_KEPT ? [...text.slice(0, MAX_KEPT)].join("") : text;
  const summary = oneLine(messageText(content) ?? shortened, MAX_SUMMARY);
  return { text: shortened, size: text.length, summary, attempt, usage: usageOf(content) };
}

/**
 * @param {any} content
 * @returns {string | null} Who says what, and which tools are called, when it is a message of a model
 *   or a piece of one.
 */
function messageText(content) {
  const message = Array.isArray(content) ? content[0] : null;
  if (typeof message?.type !== "string") return null;
  const said = typeof message.content === "string" ? message.content : JSON.stringify(message.content ?? "");
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls.map((/** @type {any} */ call) => call?.name) : [];
  return `${message.type}: ${said}${calls.length ? ` → ${calls.join(", ")}` : ""}`;
}

/**
 * @param {any} content
 * @returns {Usage | null} What a message, or an event of a function, says of its tokens.
 */
function usageOf(content) {
  const said = content?.usage ?? content?.usage_metadata ?? content?.[0]?.usage_metadata;
  const input = Number(said?.input_tokens ?? said?.prompt_tokens ?? 0);
  const output = Number(said?.output_tokens ?? said?.completion_tokens ?? 0);
  return input + output > 0 ? { input, output } : null;
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // some numbers are JSON that JavaScript refuses
  }
}
