// The drawn lines as text.
import { inverseOf } from "./axis.js";

const cell = (text) => (/[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);

/** The drawn lines as CSV: a row for each bin of each line, with its time in UTC or its step. */
export function csvOf(data, held) {
  const steps = held.key.axis === "step";
  const rows = [[steps ? "step" : "time", "line", "value"]];
  for (const { line, at, y } of data) {
    const back = inverseOf(held, held.arms[line.arm]);
    y.forEach((value, i) => {
      if (!Number.isFinite(value)) return;
      const x = back(at[i].left);
      rows.push([steps ? String(x) : new Date(Math.round(x)).toISOString(), line.label || line.series, String(value)]);
    });
  }
  return `${rows.map((row) => row.map(cell).join(",")).join("\n")}\n`;
}
