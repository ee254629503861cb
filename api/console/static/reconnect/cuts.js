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
 * @returns {Generator<number, void>} So often, at random, spread over what there is.
 */
export function* cutsAtRandom(times, total) {
  const span = Math.max(2, Math.floor((2 * total) / (times + 1)));
  let at = 0;
  for (let made = 0; made < times; made += 1) {
    at += 1 + Math.floor(Math.random() * span);
    yield at;
  }
}
