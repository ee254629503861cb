/** What is in sight of a list that is scrolled, and how it stays where it is while lines come and go. */

/**
 * @param {Element} scroller
 * @param {Element} list
 * @returns {Element | null} The first line in sight.
 */
export function firstInSight(scroller, list) {
  const edge = scroller.getBoundingClientRect().top;
  const rows = list.children;
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].getBoundingClientRect().bottom > edge) high = middle;
    else low = middle + 1;
  }
  return rows[low] ?? null;
}

/**
 * Change a list; what is looked at stays where it is.
 *
 * @param {Element} scroller
 * @param {Element} list
 * @param {() => void} change
 */
export function keepingSight(scroller, list, change) {
  const row = firstInSight(scroller, list);
  const top = row?.getBoundingClientRect().top ?? 0;
  change();
  if (row?.isConnected) scroller.scrollTop += row.getBoundingClientRect().top - top;
}
