// DOM helpers; text is inserted as text, never as markup.

const FOCUSABLE = new Set(["button", "input", "summary"]);

/**
 * Create an element with attributes and children; children are elements or text.
 * @param {string} tag @param {Record<string, unknown>} attributes
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  // JupyterLab uses keys for its shortcuts unless the focused element itself opts out
  if (FOCUSABLE.has(tag) || "tabindex" in attributes) made.setAttribute("data-lm-suppress-shortcuts", "true");
  made.append(...children);
  return made;
}

/** Set the text of an element if it differs, so that screen readers do not read it again. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
