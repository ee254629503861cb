/** Calls the gateway that served this page, as whoever has signed in. */

import { credentialHeaders } from "./credential.js";
import { Problem, problemOf } from "./problem.js";

/** The API's root is one above the page, whatever the path below which a proxy serves both. */
const ROOT = new URL("..", document.baseURI);

/**
 * @typedef {object} Options
 * @property {string} [method]
 * @property {unknown} [body] Sent as JSON.
 * @property {AbortSignal} [signal]
 * @property {Record<string, string>} [headers]
 */

/**
 * @param {string} path Below the root, without a slash at its start.
 * @returns {URL}
 */
export function apiUrl(path) {
  return new URL(path, ROOT);
}

/**
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<Response>} A success.
 * @throws {Problem} It is refused, or nobody answers. An abort stays an AbortError.
 */
export async function request(path, { method = "GET", body, signal, headers } = {}) {
  const sent = { ...credentialHeaders(), ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(apiUrl(path), {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "no-answer", "The gateway does not answer.");
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    if (problem.status === 401) dispatchEvent(new CustomEvent("credential-refused"));
    throw problem;
  }
  return response;
}

/**
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>} The document of the answer.
 */
export async function getJson(path, options) {
  return (await request(path, options)).json();
}

/**
 * @param {string} path
 * @param {unknown} body
 * @param {Options} [options]
 * @returns {Promise<any>} The document of the answer; `null` where it has none.
 */
export async function postJson(path, body, options) {
  const response = await request(path, { ...options, method: "POST", body });
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}
