/**
 * What one reader has got of a run: the place of every event, and every break of the rule that each
 * comes once and in order.
 */

export class Received {
  /** @type {number[]} Sequences in the log, in the order in which they came. */
  seqs = [];
  /** @type {number[]} Their numbers in the run. */
  runSeqs = [];
  /** Events that came again, or late. */
  repeated = 0;
  /** Events that were passed over. */
  skipped = 0;
  /** Events that the gateway itself said were missing. */
  told = 0;

  /** @returns {number} */
  get count() {
    return this.seqs.length;
  }

  /** @returns {number} The number of the last event; 0 before the first. */
  get last() {
    return this.runSeqs.at(-1) ?? 0;
  }

  /**
   * @param {string} id
   * @returns {boolean} Whether it is another event than the one before: an event may be told in two
   *   blocks, as an error and the end are.
   */
  add(id) {
    const [seq, runSeq] = id.split("-").map(Number);
    if (runSeq === this.last && seq === this.seqs.at(-1)) return false;
    if (runSeq <= this.last) {
      this.repeated += 1;
      return false;
    }
    this.skipped += runSeq - this.last - 1;
    this.seqs.push(seq);
    this.runSeqs.push(runSeq);
    return true;
  }
}
