/** What the gateway says when it refuses, or what stands for it when nobody answers. */

export class Problem extends Error {
  /**
   * @param {number} status 0: no answer came at all.
   * @param {string} code Stable; see the list of problems.
   * @param {string} detail For people.
   */
  constructor(status, code, detail) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.code = code;
  }

  /** @returns {boolean} Whether the same request may succeed later. */
  get isTemporary() {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }

  /** @returns {string} What to do now. */
  get advice() {
    if (this.status === 0) return "Is the gateway running? This page tries again by itself.";
    if (this.status === 403) return "Your credential does not allow this. Ask for one with the scope.";
    if (this.status === 404) return "It may have been deleted, or belong to someone else.";
    return this.isTemporary ? "This page tries again by itself." : "";
  }
}

/**
 * @param {Response} response One whose status is no success.
 * @returns {Promise<Problem>}
 */
export async function problemOf(response) {
  try {
    const said = await response.json();
    return new Problem(response.status, said.code ?? "unknown", said.detail ?? said.title ?? "");
  } catch {
    return new Problem(response.status, "unknown", `The gateway answered ${response.status}.`);
  }
}
