/** Asks for a key or a token, tries it, and tells why it was refused. */

import { element, fill } from "../dom/element.js";
import { getJson } from "../http/api.js";
import { signIn, signOut } from "../http/credential.js";

export class SignIn extends HTMLElement {
  connectedCallback() {
    const problem = element("p", { class: "problem", role: "alert", id: "sign-in-problem" });
    const credential = /** @type {HTMLInputElement} */ (
      element("input", {
        id: "credential",
        type: "password",
        autocomplete: "off",
        spellcheck: "false",
        required: true,
        "aria-describedby": "sign-in-problem sign-in-hint",
      })
    );
    const kept = /** @type {HTMLInputElement} */ (element("input", { type: "checkbox", id: "kept" }));
    const submit = element("button", { class: "primary", type: "submit" }, "Sign in");
    const form = element(
      "form",
      { class: "sign-in", onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        this.#try(credential.value.trim(), kept.checked, problem);
      } },
      element("h1", {}, "Sign in"),
      element("label", { for: "credential" }, "API key or token"),
      credential,
      problem,
      element("label", { class: "check" }, kept, " Keep until this tab is closed"),
      element(
        "p",
        { class: "hint", id: "sign-in-hint" },
        "Make a key with ",
        element("code", {}, "jetrun keys create NAME --operator"),
        ". It stays in this tab and is sent to this gateway alone.",
      ),
      submit,
    );
    fill(this, form);
    credential.focus();
  }

  /**
   * @param {string} credential
   * @param {boolean} isKept
   * @param {HTMLElement} problem
   */
  async #try(credential, isKept, problem) {
    signIn(credential, isKept);
    try {
      await getJson("info");
      this.dispatchEvent(new CustomEvent("signed-in", { bubbles: true }));
    } catch (error) {
      signOut();
      problem.textContent = /** @type {Error} */ (error).message;
    }
  }
}

customElements.define("sign-in", SignIn);
