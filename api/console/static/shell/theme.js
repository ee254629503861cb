/** Light, dark, or as the system wants it; kept for this browser. */

const NAME = "jetrun.theme";
const THEMES = ["auto", "light", "dark"];

/** @returns {string} */
export function currentTheme() {
  const kept = localStorage.getItem(NAME) ?? "auto";
  return THEMES.includes(kept) ? kept : "auto";
}

/** Show the page in the theme that was chosen. */
export function applyTheme() {
  document.documentElement.dataset.theme = currentTheme();
}

/** Choose the next theme. */
export function nextTheme() {
  const next = THEMES[(THEMES.indexOf(currentTheme()) + 1) % THEMES.length];
  localStorage.setItem(NAME, next);
  applyTheme();
}
