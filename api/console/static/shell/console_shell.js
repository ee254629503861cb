/** The frame of every page: who looks, where to go, and the page of the current place. */

import { element, fill } from "../dom/element.js";
import { getJson } from "../http/api.js";
import { hasCredential, signOut } from "../http/credential.js";
import { isOperator } from "./caller.js";
import { applyTheme, currentTheme, nextTheme } from "./theme.js";
import { currentPlace, linkTo } from "./route.js";
import { pageOf } from "./pages.js";
import "./sign_in.js";

/** @typedef {import("./caller.js").Caller} Caller */

export class ConsoleShell extends HTMLElement {
  /** @type {Caller | null} */
  #caller = null;
  #main = element("main", { id: "main", tabindex: "-1" });
  #bar = element("header", { class: "bar" });
  #pageName = "";

  connectedCallback() {
    applyTheme();
    const skip = element("a", { class: "skip", href: "#main", onclick: this.#skip }, "Skip to content");
    fill(this, skip, this.#bar, this.#main);
    addEventListener("hashchange", () => this.#show());
    addEventListener("credential-refused", () => this.#askWho());
    this.addEventListener("signed-in", () => this.#enter());
    this.#enter();
  }

  async #enter() {
    try {
      this.#caller = (await getJson("info")).caller;
    } catch (error) {
      if (/** @type {import("../http/problem.js").Problem} */ (error).status !== 401) {
        this.#sayAway(/** @type {Error} */ (error));
      }
      return;
    }
    this.#pageName = "";
    this.#show();
  }

  #askWho() {
    if (this.#main.querySelector("sign-in")) return;
    this.#caller = null;
    signOut();
    this.#drawBar();
    document.title = "Sign in · jetrun";
    fill(this.#main, element("sign-in"));
  }

  /** @param {Error} error */
  #sayAway(error) {
    const retry = element("button", { type: "button", onclick: () => this.#enter() }, "Try again");
    fill(
      this.#main,
      element("div", { class: "empty", role: "alert" }, element("h1", {}, error.message), retry),
    );
  }

  #show() {
    if (this.#caller === null) return;
    const place = currentPlace();
    const { name, title, tag } = pageOf(place);
    this.#drawBar();
    document.title = `${title} · jetrun`;
    const shown = /** @type {any} */ (this.#main.firstElementChild);
    // A page whose query alone has changed goes on with what it has.
    if (name === this.#pageName && shown?.moveTo) return shown.moveTo(place);
    this.#pageName = name;
    const page = /** @type {any} */ (document.createElement(tag));
    page.place = place;
    page.caller = this.#caller;
    fill(this.#main, page);
    this.#main.focus({ preventScroll: true });
    return undefined;
  }

  #drawBar() {
    const here = currentPlace().path[0] === "system" ? "system" : "runs";
    const link = (/** @type {string} */ name, /** @type {string} */ text) =>
      element("a", { href: linkTo([name]), "aria-current": here === name ? "page" : null }, text);
    const caller = this.#caller;
    fill(
      this.#bar,
      element("a", { class: "mark", href: linkTo(["runs"]), "aria-label": "jetrun, all runs" }, "jetrun"),
      caller &&
        element(
          "nav",
          { "aria-label": "Console" },
          link("runs", "Runs"),
          isOperator(caller) && link("system", "System"),
        ),
      element("span", { class: "space" }),
      caller && hasCredential() && element("span", { class: "who" }, caller.user_id ?? caller.role),
      this.#themeButton(),
      caller &&
        hasCredential() &&
        element("button", { type: "button", class: "quiet", onclick: () => this.#askWho() }, "Sign out"),
    );
  }

  #themeButton() {
    const change = () => {
      nextTheme();
      button.textContent = text();
    };
    const text = () => `Theme: ${currentTheme()}`;
    const button = element("button", { type: "button", class: "quiet theme", onclick: change }, text());
    return button;
  }

  #skip = (/** @type {Event} */ event) => {
    event.preventDefault(); // the address says where the page is
    this.#main.focus();
  };
}

customElements.define("console-shell", ConsoleShell);
