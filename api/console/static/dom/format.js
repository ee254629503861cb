/** Numbers, sizes, times and durations as people read them; all of one width where they stand below each other. */

const COUNT = new Intl.NumberFormat("en");
const SHORT_COUNT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const DAY_MS = 86_400_000;
const UNITS = /** @type {const} */ ([
  ["d", DAY_MS],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000],
]);

/** @param {number} value */
export function count(value) {
  return COUNT.format(value);
}

/** @param {number} value @returns {string} `12.3K` and the like. */
export function shortCount(value) {
  return SHORT_COUNT.format(value);
}

/**
 * @param {number} value
 * @param {string} one The word for one.
 * @param {string} [many]
 */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** @param {number} value Bytes. */
export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  while (value >= 1024 && power < units.length - 1) {
    value /= 1024;
    power += 1;
  }
  return `${value >= 100 || power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

/** @param {number} ms @returns {string} `840 ms`, `3.2 s`, `4 min 10 s` and the like. */
export function duration(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1).replace(/\.0$/, "")} s`;
  const at = UNITS.findIndex(([, size]) => ms >= size);
  const [unit, size] = UNITS[at];
  const [lower, lowerSize] = UNITS[at + 1];
  const rest = Math.floor((ms % size) / lowerSize);
  return `${Math.floor(ms / size)} ${unit}${rest ? ` ${rest} ${lower}` : ""}`;
}

/** @param {string} at RFC 3339. @param {number} now Milliseconds. @returns {string} `3 min ago`. */
export function ago(at, now) {
  const ms = now - Date.parse(at);
  if (ms < 5000) return "now";
  const found = UNITS.find(([, size]) => ms >= size);
  if (!found) return "now";
  const [unit, size] = found;
  return `${Math.floor(ms / size)} ${unit} ago`;
}

/** @param {string} at RFC 3339. @returns {string} `2026-03-01 12:30:05` in the zone of whoever looks. */
export function dateTime(at) {
  const date = new Date(at);
  const day = [date.getFullYear(), padded(date.getMonth() + 1), padded(date.getDate())].join("-");
  return `${day} ${clock(date)}`;
}

/** @param {string} at RFC 3339. @returns {string} `12:30:05.123`. */
export function timeOfDay(at) {
  const date = new Date(at);
  return `${clock(date)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** @param {string} id @returns {string} As much of it as tells a page's ids apart. */
export function shortId(id) {
  return id.length > 12 ? id.slice(0, 8) : id;
}

/** @param {Date} date */
function clock(date) {
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(padded).join(":");
}

/** @param {number} value */
function padded(value) {
  return String(value).padStart(2, "0");
}
