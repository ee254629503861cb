/** Where a stream is cut. */

/**
 * @param {number} number
 * @returns {Generator<number, void>} Once, behind the event of this number.
 */
export function* cutBehind(number) {
  yield number;
}

/**
 * @param {number} times
 * @param {number} total Events that the run has so far.
 * @returns {Generator<number, void>} So often, at different places of what there is.
 */
export function* cutsAtRandom(times, total) {
  const range = Math.max(total - 1, times);
  const places = new Set();
  while (places.size < times) places.add(1 + Math.floor(Math.random() * range));
  yield* [...places].sort((one, other) => one - other);
}
