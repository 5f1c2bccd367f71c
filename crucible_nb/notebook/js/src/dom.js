// Small helpers: text goes in as text, never as markup.

const FOCUSABLE = new Set(["button", "input", "summary"]);

/**
 * An element with attributes and children; children are elements or text.
 * @param {string} tag @param {Record<string, unknown>} attributes
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  // JupyterLab takes keys for its shortcuts unless the element itself that has the focus says no
  if (FOCUSABLE.has(tag) || "tabindex" in attributes) made.setAttribute("data-lm-suppress-shortcuts", "true");
  made.append(...children);
  return made;
}

/** Set the text only when it is another one: a screen reader need not look again. */
export function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
