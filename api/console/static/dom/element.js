/**
 * Makes elements out of names and texts. Text is always text: nothing here, or anywhere in the
 * console, parses markup.
 */

/**
 * @typedef {string | number | Node | null | undefined | false} Child
 * @typedef {Record<string, unknown>} Properties
 */

/**
 * Make an element.
 *
 * @param {string} tag
 * @param {Properties} [properties] Attributes by their names: `true` sets an empty one; `null`,
 *   `undefined` and `false` set none. `onclick` and the like add listeners, `vars` sets CSS
 *   variables.
 * @param {...(Child | Child[])} children Texts and elements; what is nothing is left out.
 * @returns {HTMLElement}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    setProperty(made, name, value);
  }
  made.append(...nodes(children));
  return made;
}

/**
 * Replace what an element holds.
 *
 * @param {Element} parent
 * @param {...(Child | Child[])} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren(...nodes(children));
}

/**
 * Set or remove an attribute.
 *
 * @param {Element} target
 * @param {string} name
 * @param {string | number | boolean | null | undefined} value `true` is an empty one; `false`,
 *   `null` and `undefined` remove it.
 */
export function setAttribute(target, name, value) {
  if (value === null || value === undefined || value === false) {
    target.removeAttribute(name);
  } else {
    const text = value === true ? "" : String(value);
    // An attribute that is as it should be is left alone: readers announce some changes.
    if (target.getAttribute(name) !== text) target.setAttribute(name, text);
  }
}

/**
 * @param {HTMLElement} target
 * @param {string} name
 * @param {unknown} value
 */
function setProperty(target, name, value) {
  if (typeof value === "function" && name.startsWith("on")) {
    target.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
  } else if (name === "vars") {
    for (const [variable, text] of Object.entries(/** @type {object} */ (value))) {
      target.style.setProperty(variable, String(text));
    }
  } else {
    setAttribute(target, name, /** @type {string} */ (value));
  }
}

/** @param {(Child | Child[])[]} children */
function nodes(children) {
  return children
    .flat()
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (typeof child === "number" ? String(child) : child));
}
