// Light or dark, according to the actual background behind the dashboard.

// the colours of arms and groups are told apart by colour-blind readers as well, and differ in dash besides
const LIGHT = {
  p50: "#3b6ea8", p95: "#b05f14", p99: "#7d4e9e", rate: "#2a7770", success: "#3f7a39", cost: "#866812",
  column: ["#5457a6", "#a13f6b", "#2a7770", "#866812"], anomaly: "#b3261e",
  arm: ["#3b6ea8", "#b05f14", "#00805d", "#a64d7f", "#7a6400", "#5b3fb0"],
  group: ["#0072b2", "#b8500a", "#00805d", "#a64d7f", "#7a6400", "#5b3fb0", "#6b7078"],
};
const DARK = {
  p50: "#82b4e6", p95: "#e6a15a", p99: "#c6a0e2", rate: "#6fc4b9", success: "#8bca84", cost: "#d8b95c",
  column: ["#a7abef", "#e394b6", "#6fc4b9", "#d8b95c"], anomaly: "#ff8f7d",
  arm: ["#82b4e6", "#e6a15a", "#3cc79f", "#e79ac6", "#e0c341", "#b7a2f5"],
  group: ["#56b4e9", "#f0944d", "#3cc79f", "#e79ac6", "#e0c341", "#b7a2f5", "#a5abb5"],
};

/** Dashes of arms and groups, as plotly calls them. */
export const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid"];

function channels(color) {
  const found = color.match(/[\d.]+/g)?.map(Number) ?? [];
  return color.startsWith("rgb") && found.length >= 3 ? found : null;
}

/** Whether the background behind an element is dark. */
function dark(el) {
  for (let at = el; at; at = at.parentElement) {
    const found = channels(getComputedStyle(at).backgroundColor);
    if (found && (found[3] ?? 1) > 0.5) return 0.299 * found[0] + 0.587 * found[1] + 0.114 * found[2] < 128;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Return the colours of the charts, and mark the root for the stylesheet. */
export function theme(root) {
  const isDark = dark(root.parentElement ?? root);
  root.dataset.theme = isDark ? "dark" : "light";
  const style = getComputedStyle(root);
  return {
    ...(isDark ? DARK : LIGHT),
    text: style.getPropertyValue("--crucible-soft").trim() || style.color,
    grid: isDark ? "rgba(255,255,255,.10)" : "rgba(0,0,0,.08)",
    pause: isDark ? "rgba(255,255,255,.09)" : "rgba(0,0,0,.06)",
    font: "inherit",
    paper: isDark ? "#1c1c1f" : "#ffffff",
  };
}

/** Call `changed` when the host page changes its theme. */
export function watchTheme(changed) {
  const observer = new MutationObserver(changed);
  const options = { attributes: true, attributeFilter: ["class", "style", "data-theme", "data-jp-theme-light", "data-jp-theme-name"] };
  observer.observe(document.documentElement, options);
  observer.observe(document.body, options);
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    media.removeEventListener("change", changed);
  };
}

/** A colour with opacity. */
export function faint(hex, opacity) {
  const [r, g, b] = [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));
  return `rgba(${r},${g},${b},${opacity})`;
}
