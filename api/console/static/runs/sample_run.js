/** A run of the built-in assistant, for whoever looks for the first time. */

import { postJson } from "../http/api.js";

const EVENTS = 120;
const PAUSE_S = 0.25;

/** @returns {Promise<import("./run_pages.js").Run>} */
export function startSampleRun() {
  return postJson("runs", {
    assistant_id: "echo",
    input: { events: EVENTS, delay_s: PAUSE_S },
    metadata: { made_by: "console" },
    on_completion: "keep",
  });
}
