// The panels: which charts exist, and the lines of each.
import { LETTERS, dollars, number, percent } from "./format.js";
import { DASHES } from "./theme.js";

/**
 * @typedef {object} Panel
 * @property {string} id
 * @property {string} title
 * @property {string} metric column whose anomalies are shown here
 * @property {{series: string, name: string, color: string, dash: string, low?: string, high?: string}[]} lines
 * @property {string} part name of the series of each group, "" without
 * @property {boolean} grouped whether the lines are those of groups
 * @property {boolean} steps whether it is drawn as steps from zero, constant within a bin
 * @property {(x: number) => string} format
 */

const line = (series, name, color, dash = "solid", more = {}) => ({ series, name, color, dash, ...more });

/** @returns {Panel[]} the panels with known values */
export function panelsOf(key, arms, colors) {
  const single = arms.length > 1 || key.groups.length;
  const known = (name) => arms.some((arm) => arm.columns[name]?.some(Number.isFinite));
  const fixed = [
    {
      id: "latency", title: single ? "Latency p95, ms" : "Latency, ms", metric: "latency_ms", format: number, part: "p95",
      lines: single
        ? [line("p95", "p95", colors.p95)]
        : [line("p50", "p50", colors.p50), line("p95", "p95", colors.p95, "dash"), line("p99", "p99", colors.p99, "dot")],
    },
    { id: "rate", title: "Throughput, events/s", metric: "", format: number, steps: true, part: "rate", lines: [line("rate", "", colors.rate)] },
    { id: "success", title: "Success rate", metric: "success", format: percent, share: true, part: "success", lines: [line("success", "", colors.success)] },
    { id: "cost", title: "Cost, USD per hour", metric: "cost_usd", format: dollars, steps: true, part: "cost", lines: [line("cost", "", colors.cost)] },
  ].map((panel) => (key.groups.length ? byGroup(panel, key, colors) : panel));
  const columns = key.picked.map((name, i) => ({
    id: `column:${name}`, title: name, metric: name, format: number,
    lines: [line(`mean:${name}`, "mean", colors.column[i % colors.column.length], "solid", { low: `low:${name}`, high: `high:${name}` })],
  }));
  const shown = [...fixed, ...columns].filter((panel) => panel.lines.some((one) => known(one.series)));
  return shown.length ? shown : fixed.filter((panel) => panel.id === "rate");
}

/** A line for each group. */
function byGroup(panel, key, colors) {
  const rest = colors.group.length - 1;
  const slot = (name, i) => (name === "(rest)" ? rest : i);
  const lines = key.groups.map((name, i) => line(`${panel.part}|${i}`, name, colors.group[slot(name, i)], DASHES[slot(name, i)]));
  return { ...panel, title: `${panel.title}, by ${key.by}`, lines, grouped: true };
}

/** The panel of an anomaly: that of its first metric with a panel, else the throughput, else the first. */
export function panelOf(panels, incident) {
  for (const metric of incident.metrics) {
    const found = panels.find((panel) => panel.metric === metric);
    if (found) return found;
  }
  return panels.find((panel) => panel.id === "rate") ?? panels[0];
}

/** The lines of a panel for every arm; arms differ in colour and dash, those of groups in dash. */
export function linesOf(panel, arms, colors, titles = []) {
  if (arms.length === 1) return panel.lines.map((one) => ({ ...one, arm: 0, label: one.name }));
  if (panel.grouped) return arms.flatMap((_, arm) => panel.lines.map((one) => ({ ...one, arm, label: `${LETTERS[arm]} ${one.name}`, dash: DASHES[arm] })));
  return arms.map((_, arm) => ({ ...panel.lines[0], arm, label: `${LETTERS[arm]} ${titles[arm]?.name ?? ""}`.trim(), color: colors.arm[arm], dash: DASHES[arm] }));
}
