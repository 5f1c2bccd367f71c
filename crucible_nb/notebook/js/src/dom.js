// DOM helpers; text is inserted as text, never as markup.

const FOCUSABLE = new Set(["button", "input", "summary", "select"]);

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

/**
 * A list that opens below its button. It closes on Escape and on a press outside, never because the focus moves: a press on
 * a text inside takes the focus away, and what is pressed must not vanish under the pointer.
 * @param {string} label @param {string} name class of the element
 */
export function dropdown(label, name, ...content) {
  const root = element("details", { class: `crucible-dropdown ${name}` }, element("summary", {}, label), ...content);
  const outside = (event) => {
    if (!event.composedPath().includes(root)) root.open = false;
  };
  root.addEventListener("toggle", () => {
    if (root.open) document.addEventListener("pointerdown", outside, true);
    else document.removeEventListener("pointerdown", outside, true);
  });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !root.open) return;
    event.stopPropagation();
    root.open = false;
    root.querySelector("summary").focus();
  });
  return root;
}

/**
 * A labelled choice of texts.
 * @param {string} label @param {string} name class of the label @param {(value: string) => void} chosen
 */
export function choice(label, name, chosen) {
  const select = element("select", { "aria-label": label, onchange: () => chosen(select.value) });
  const root = element("label", { class: `crucible-choice ${name}` }, element("span", {}, label), select);
  let drawn = "";
  /** Offer options as [value, text], and show the chosen one; an open list is not touched unless something changed. */
  const offer = (options, value) => {
    const shape = JSON.stringify(options);
    if (shape !== drawn) {
      drawn = shape;
      select.replaceChildren(...options.map(([one, text]) => element("option", { value: one }, text)));
    }
    if (select.value !== value) select.value = value;
  };
  return { root, select, offer };
}
