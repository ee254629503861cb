/** Asks before something is done that cannot be undone. */

import { element } from "./element.js";

/**
 * @param {string} question
 * @param {string} explanation
 * @param {string} action What the button says that does it.
 * @returns {Promise<boolean>} Whether it shall be done.
 */
export function ask(question, explanation, action) {
  const dialog = /** @type {HTMLDialogElement} */ (
    element(
      "dialog",
      { "aria-labelledby": "question" },
      element(
        "form",
        { method: "dialog" },
        element("h2", { id: "question" }, question),
        element("p", {}, explanation),
        element(
          "div",
          { class: "buttons" },
          element("button", { value: "" }, "Keep"),
          element("button", { value: "yes", class: "danger" }, action),
        ),
      ),
    )
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
