/** Asks again every so often, never more often than every five seconds, and not while nobody looks. */

/** A page that is open all day must cost the gateway next to nothing. */
export const MIN_PAUSE_MS = 5000;
const MAX_PAUSE_MS = 60_000;

/** @typedef {(signal: AbortSignal) => Promise<void>} Work */

export class Refresh {
  /** @type {AbortController | null} */
  #running = null;
  #timer = 0;
  #pause = MIN_PAUSE_MS;
  #work;
  #onProblem;

  /**
   * @param {Work} work What is asked; it stops when its signal is aborted.
   * @param {(error: Error | null) => void} onProblem Told how each asking came out; `null`: well.
   */
  constructor(work, onProblem) {
    this.#work = work;
    this.#onProblem = onProblem;
  }

  /** Ask now, whatever was asked before, and then again and again. */
  now() {
    this.stop();
    document.addEventListener("visibilitychange", this.#look);
    this.#pause = MIN_PAUSE_MS;
    this.#ask();
  }

  /** Ask no more. */
  stop() {
    document.removeEventListener("visibilitychange", this.#look);
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = null;
  }

  async #ask() {
    const running = (this.#running = new AbortController());
    try {
      await this.#work(running.signal);
      if (running.signal.aborted) return;
      this.#pause = MIN_PAUSE_MS;
      this.#onProblem(null);
    } catch (error) {
      if (running.signal.aborted) return;
      this.#pause = Math.min(this.#pause * 2, MAX_PAUSE_MS);
      this.#onProblem(/** @type {Error} */ (error));
    }
    if (running.signal.aborted) return; // whoever was told wants no more
    this.#running = null;
    this.#plan();
  }

  #plan() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!document.hidden) this.#ask();
    }, this.#pause);
  }

  #look = () => {
    if (!document.hidden && this.#running === null) this.#plan();
  };
}
