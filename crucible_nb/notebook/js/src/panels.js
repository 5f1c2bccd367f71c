// The panels: which charts exist, and the lines of each.
import { dollars, number, percent } from "./format.js";

/**
 * @typedef {object} Panel
 * @property {string} id
 * @property {string} title
 * @property {string} metric column whose anomalies are shown here
 * @property {{series: string, name: string, color: string, dash: string, low?: string, high?: string}[]} lines
 * @property {boolean} steps whether it is drawn as steps from zero, constant within a bin
 * @property {(x: number) => string} format
 */

const line = (series, name, color, dash = "solid", more = {}) => ({ series, name, color, dash, ...more });

/** @returns {Panel[]} the panels with known values */
export function panelsOf(key, arms, colors) {
  const two = arms.length > 1;
  const known = (name) => arms.some((arm) => arm.columns[name]?.some(Number.isFinite));
  const fixed = [
    {
      id: "latency", title: two ? "Latency p95, ms" : "Latency, ms", metric: "latency_ms", format: number,
      lines: two
        ? [line("p95", "p95", colors.p95)]
        : [line("p50", "p50", colors.p50), line("p95", "p95", colors.p95, "dash"), line("p99", "p99", colors.p99, "dot")],
    },
    { id: "rate", title: "Throughput, events/s", metric: "", format: number, steps: true, lines: [line("rate", "", colors.rate)] },
    { id: "success", title: "Success rate", metric: "success", format: percent, share: true, lines: [line("success", "", colors.success)] },
    { id: "cost", title: "Cost, USD per hour", metric: "cost_usd", format: dollars, steps: true, lines: [line("cost", "", colors.cost)] },
  ];
  const columns = key.picked.map((name, i) => ({
    id: `column:${name}`, title: name, metric: name, format: number,
    lines: [line(`mean:${name}`, "mean", colors.column[i % colors.column.length], "solid", { low: `low:${name}`, high: `high:${name}` })],
  }));
  return [...fixed, ...columns].filter((panel) => panel.id === "rate" || known(panel.lines[0].series));
}

/** The panel of an anomaly: that of its first metric with a panel, else the throughput. */
export function panelOf(panels, incident) {
  for (const metric of incident.metrics) {
    const found = panels.find((panel) => panel.metric === metric);
    if (found) return found;
  }
  return panels.find((panel) => panel.id === "rate");
}

/** The lines of a panel for every arm; arms differ in colour and dash. */
export function linesOf(panel, arms, colors) {
  if (arms.length === 1) return panel.lines.map((one) => ({ ...one, arm: 0, label: one.name }));
  return arms.map((_, arm) => ({ ...panel.lines[0], arm, label: "AB"[arm], color: colors.arm[arm], dash: arm ? "dash" : "solid" }));
}
