// Plotly traces and layout of a panel; pure functions of the data.
import { faint } from "./theme.js";

const [LEFT, RIGHT] = [46, 24]; // margins in px: a time label fits on either side without being measured
const LETTER = 7; // px
const STAMP = 64; // px of a time label with its spacing, so that labels need not be measured

const SPAN = { "1min": 60e3, "5min": 300e3, "1h": 3600e3, all: null };

/** Local time for plotly, which shows dates as UTC. */
const local = (ms) => ms - new Date(ms).getTimezoneOffset() * 60e3;

/** Convert times to the axis: time of day, or with two arms seconds since each began or until its now. */
function axisOf(held) {
  if (held.arms.length === 1) return () => local;
  const { window } = held.key;
  return (arm) => {
    const { now, wall } = arm.cards;
    const zero = window === "all" ? now - 1000 * wall : now;
    return (ms) => (ms - zero) / 1000;
  };
}

/** Left ends, centres and right ends of an arm's bins, up to its now. */
function bins(arm, column) {
  const now = arm.cards.now;
  return column.map((_, i) => {
    const left = (arm.start + i) * arm.width;
    const right = Math.min(left + arm.width, Math.max(now, left));
    return { left, middle: (left + right) / 2, right };
  });
}

export function tracesOf(panel, lines, held, colors, incidents, pointed, width) {
  const axis = axisOf(held);
  const traces = lines.flatMap((line) => {
    const arm = held.arms[line.arm];
    const to = axis(arm);
    const column = arm.columns[line.series];
    const at = bins(arm, column);
    return panel.steps ? [stepped(line, column, at, to, held)] : smooth(line, arm, column, at, to, held);
  });
  const inside = incidents.filter((one) => one.end >= held.arms[one.arm].start * held.arms[one.arm].width);
  return inside.length ? [...traces, markers(panel, lines, held, colors, inside, pointed, axis, width)] : traces;
}

function base(line, extra) {
  return { type: "scatter", name: line.label || line.series, hoverinfo: "y+name", line: { color: line.color, width: 1.6, dash: line.dash }, ...extra };
}

function stepped(line, column, at, to, held) {
  const x = [...at.map((bin) => to(bin.left)), ...(at.length ? [to(at.at(-1).right)] : [])];
  const y = [...column, ...(column.length ? [column.at(-1)] : [])];
  const fill = held.arms.length > 1 ? {} : { fill: "tozeroy", fillcolor: faint(line.color, 0.16) };
  return base(line, { x, y, mode: "lines", ...fill, line: { color: line.color, width: 1.4, dash: line.dash, shape: "hv" } });
}

function smooth(line, arm, column, at, to, held) {
  const x = at.map((bin) => to(bin.middle));
  const filled = column.filter(Number.isFinite).length;
  const sparse = filled < 0.6 * (column.length - Math.max(column.findIndex(Number.isFinite), 0));
  const mode = sparse || filled < 3 ? "lines+markers" : "lines";
  const main = base(line, { x, y: column, mode, connectgaps: sparse, marker: { color: line.color, size: 4 } });
  return line.low && held.arms.length === 1 ? [range(line, arm, x), main] : [main];
}

/** Band from the minimum to the maximum of each bin, behind the mean: along the maxima and back along the minima. */
function range(line, arm, x) {
  const [low, high] = [arm.columns[line.low], arm.columns[line.high]];
  const there = x.map((_, i) => i).filter((i) => Number.isFinite(low[i]) && Number.isFinite(high[i]));
  const back = there.toReversed();
  return {
    type: "scatter", mode: "lines", name: "range", hoverinfo: "skip", line: { width: 0 }, fill: "toself", fillcolor: faint(line.color, 0.18),
    x: [...there, ...back].map((i) => x[i]),
    y: [...there.map((i) => high[i]), ...back.map((i) => low[i])],
  };
}

/** Mark each anomaly with a diamond and its number, on the outermost line at its peak. */
function markers(panel, lines, held, colors, inside, pointed, axis, width) {
  const peaks = inside.map((one) => peakOf(panel, lines, held.arms[one.arm], one));
  const size = inside.map((one) => (one.label === pointed ? 14 : 9));
  const [begin, end] = rangeOf(held, axis);
  const x = peaks.map((peak, i) => axis(held.arms[inside[i].arm])(peak.time));
  return {
    type: "scatter", name: "anomaly", mode: "markers+text", hoverinfo: "text",
    x,
    y: peaks.map((peak) => peak.value),
    text: labelled(inside, x, pointed, (width - LEFT - RIGHT) / (end - begin)),
    hovertext: inside.map((one) => `${one.label}: ${one.reason}`.replace(/&/g, "&amp;").replace(/</g, "&lt;")),
    customdata: inside.map((one) => one.label),
    textposition: panel.share ? "bottom center" : "top center", textfont: { color: colors.anomaly, size: 11, shadow: `0 0 2px ${colors.paper}, 0 0 3px ${colors.paper}` }, cliponaxis: false,
    marker: { symbol: "diamond", color: colors.anomaly, opacity: 1, size, line: { color: colors.paper, width: 1 } },
  };
}

/** Labels without overlap, the newest first; the others are in the table and are shown when selected. */
function labelled(incidents, x, pointed, scale) {
  const texts = incidents.map(() => "");
  const taken = [];
  const newest = x.map((_, i) => i).sort((one, two) => x[two] - x[one]);
  for (const i of newest.toSorted((one, two) => (incidents[two].label === pointed) - (incidents[one].label === pointed))) {
    const { label } = incidents[i];
    const [at, half] = [x[i] * scale, (LETTER * label.length + 4) / 2];
    if (taken.some((one) => Math.abs(one.at - at) < one.half + half)) continue;
    taken.push({ at, half });
    texts[i] = label;
  }
  return texts;
}

/** Time and value of the peak of a line during an anomaly: the first bin close to the extreme. */
function peakOf(panel, lines, arm, incident) {
  const names = lines.filter((line) => line.arm === incident.arm).map((line) => line.high ?? line.series);
  const out = panel.share ? Math.min : Math.max;
  const valueAt = (i) => out(...names.map((name) => arm.columns[name][i]).filter(Number.isFinite));
  const newest = arm.columns[names[0]].length - 1;
  const bin = (time) => Math.min(Math.max(Math.floor(time / arm.width) - arm.start, 0), newest);
  const bins = [];
  for (let i = bin(incident.start); i <= bin(incident.end); i++) if (Number.isFinite(valueAt(i))) bins.push(i);
  if (!bins.length) return { time: Math.max(incident.start, arm.start * arm.width), value: 0 };
  const values = bins.map(valueAt);
  const [usual, peak] = [valueAt(Math.max(bins[0] - 1, 0)), out(...values)];
  const near = Number.isFinite(usual) ? usual + 0.9 * (peak - usual) : peak;
  const at = Math.max(values.findIndex((value) => (panel.share ? value <= near : value >= near)), 0);
  const middle = (arm.start + bins[at] + 0.5) * arm.width;
  return { time: bins.length > 1 ? Math.min(middle, arm.cards.now) : Math.max(incident.start, arm.start * arm.width), value: values[at] };
}

export function layoutOf(panel, held, colors, incidents, width, height) {
  const { key, arms } = held;
  const two = arms.length > 1;
  const axis = axisOf(held);
  const range = rangeOf(held, axis);
  const pixels = width - LEFT - RIGHT;
  const text = { color: colors.text, size: 11, family: colors.font };
  const line = { gridcolor: colors.grid, zerolinecolor: colors.grid, tickfont: text, fixedrange: false, automargin: false, ticklabeloverflow: "allow", tickangle: 0 };
  return {
    width, height,
    margin: { l: LEFT, r: RIGHT, t: 12, b: two ? 34 : 22 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: text, showlegend: false, hovermode: "closest",
    hoverlabel: { font: { size: 11, family: colors.font }, align: "left" },
    // the user's zoom stays until another window is chosen
    uirevision: key.window,
    xaxis: {
      ...line, showgrid: false, zeroline: false, ticklabelstandoff: 5, nticks: Math.max(2, Math.floor(pixels / STAMP)), type: two ? "linear" : "date", range,
      ...(two ? { title: { text: key.window === "all" ? "s since each began" : "s before now", font: text, standoff: 4 } } : { tickformat: "%H:%M:%S" }),
    },
    yaxis: { ...line, nticks: 4, ...scaleOf(panel, arms), separatethousands: true },
    shapes: two ? [] : [...pauses(held, colors), ...spans(incidents, arms[0], colors, (range[1] - range[0]) / pixels)],
  };
}

function rangeOf(held, axis) {
  const span = SPAN[held.key.window];
  const ends = held.arms.map((arm) => {
    const to = axis(arm);
    const { now, wall } = arm.cards;
    const bins = arm.start * arm.width;
    // a run shorter than its window fills the chart from the left
    const begin = span === null ? Math.min(now - 1000 * wall, bins) : Math.max(now - span, Math.min(now - 1000 * wall, bins));
    return [to(Math.min(begin, now - 5000)), to(now)];
  });
  return [Math.min(...ends.map((end) => end[0])), Math.max(...ends.map((end) => end[1]))];
}

function scaleOf(panel, arms) {
  if (!panel.share) return panel.steps ? { rangemode: "tozero" } : {};
  const values = arms.flatMap((arm) => arm.columns[panel.lines[0].series].filter(Number.isFinite));
  const low = Math.min(...values, 1);
  const room = Math.max(1 - low, 0.02);
  return { range: [Math.max(low - 0.15 * room, -0.02), 1 + 0.2 * room], tickformat: room < 0.05 ? ".1%" : ".0%" };
}

/** Spans of time over the whole height as one path, which plotly draws about as fast as a single rectangle. */
function bands(spans, fillcolor) {
  if (!spans.length) return [];
  const stamp = (ms) => new Date(local(ms)).toISOString().slice(0, -1).replace("T", "_");
  const path = spans.map(({ start, end }) => `M${stamp(start)},0V1H${stamp(end)}V0Z`).join("");
  return [{ type: "path", layer: "below", xref: "x", yref: "paper", path, fillcolor, line: { width: 0 } }];
}

/** Paused spans; a pause that has not ended is drawn until now. */
function pauses({ key, status, arms }, colors) {
  const last = key.pauses.length - 1;
  const end = (i, end) => (i === last && status[0] === "paused" ? arms[0].cards.now : end);
  return bands(key.pauses.map(([from, to], i) => ({ start: from, end: end(i, to) })), colors.pause);
}

/** Spans of anomalies; spans within two pixels of each other are merged. */
function spans(incidents, arm, colors, pixel) {
  const oldest = arm.start * arm.width;
  const merged = [];
  for (const { start, end } of incidents.filter((one) => one.end > oldest)) {
    const last = merged.at(-1);
    if (last && start - last.end < 2 * pixel) last.end = Math.max(last.end, end);
    else merged.push({ start: Math.max(start, oldest), end });
  }
  return bands(merged, faint(colors.anomaly, 0.13));
}
