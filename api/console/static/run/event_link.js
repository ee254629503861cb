/** Gives people the address of one event. */

import { count } from "../dom/format.js";
import { notice } from "../dom/notice.js";
import { linkToRun } from "../shell/route.js";
import { idOf } from "./entry.js";

/**
 * @param {{thread_id: string, run_id: string}} run
 * @param {import("./entry.js").Entry} entry
 */
export async function copyLink(run, entry) {
  const place = linkToRun(run, { event: idOf(entry) });
  try {
    await navigator.clipboard.writeText(new URL(place, location.href).href);
    notice(`The link to event ${count(entry.run_seq)} is copied.`);
  } catch {
    location.hash = place; // browsers give the clipboard to secure addresses alone
    notice("The address of this page leads to the event now.");
  }
}
