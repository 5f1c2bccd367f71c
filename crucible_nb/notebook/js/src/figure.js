// Plotly traces and layout of a panel; pure functions of the data and of what a person has set.
import { axisOf, binsOf, local, rangeOf, titleOf } from "./axis.js";
import { faint } from "./theme.js";

export const [LEFT, RIGHT] = [50, 24]; // margins in px: a label of the axis fits on either side without being measured
const LETTER = 7; // px
const STAMP = 64; // px of a time label with its spacing, so that labels need not be measured
const LOG_FROM = 50; // range of values from which the latency is drawn on a logarithmic axis, if nobody has chosen

/**
 * What a person has set; views share nothing of it.
 * @typedef {object} Settings
 * @property {[number, number] | null} zoom range of the axis of all charts
 * @property {number} smooth points over which lines are smoothed, 0 for none
 * @property {Set<string>} hidden lines that are not drawn, as "panel|label"
 * @property {Map<string, boolean>} log whether a panel has a logarithmic axis, where a person has chosen
 */

export const SETTINGS = { zoom: null, smooth: 0, hidden: new Set(), log: new Map() };

export const lineId = (panel, line) => `${panel.id}|${line.arm}|${line.label}`;

/** The range of the axis that is drawn. */
export function shownRange(held, settings) {
  return settings.zoom ?? rangeOf(held, axisOf(held));
}

/** The drawn lines: x and values of every bin inside the range and of its neighbours. */
export function dataOf(panel, lines, held, settings) {
  const axis = axisOf(held);
  const [low, high] = shownRange(held, settings);
  return lines.filter((line) => !settings.hidden.has(lineId(panel, line))).map((line) => {
    const arm = held.arms[line.arm];
    const to = axis(arm);
    const column = arm.columns[line.series] ?? [];
    const all = binsOf(held, arm, column.length).map((bin) => ({ left: to(bin.left), middle: to(bin.middle), right: to(bin.right) }));
    let first = 0;
    let last = all.length;
    if (settings.zoom) {
      first = Math.max(all.findIndex((bin) => bin.right >= low) - 1, 0);
      const after = all.findIndex((bin) => bin.left > high);
      last = after < 0 ? all.length : after + 1;
    }
    const cut = (name) => arm.columns[name]?.slice(first, last) ?? [];
    return { line, at: all.slice(first, last), y: cut(line.series), low: line.low && cut(line.low), high: line.high && cut(line.high) };
  });
}

/** Whether a panel has a logarithmic axis: as chosen, else the latency where its range asks for it. */
export function isLog(panel, data, settings, before) {
  if (panel.share) return false;
  if (settings.log.has(panel.id)) return settings.log.get(panel.id);
  if (panel.id !== "latency") return false;
  const values = data.flatMap((one) => one.y.filter((y) => y > 0));
  if (values.length < 10) return before ?? false;
  const ratio = Math.max(...values) / Math.min(...values);
  return ratio > (before ? LOG_FROM / 3 : LOG_FROM); // no flicker around the limit
}

export function tracesOf(panel, data, held, colors, incidents, pointed, width, settings) {
  const fill = held.arms.length === 1 && panel.lines.length === 1;
  const traces = data.flatMap((one) => (panel.steps ? stepped(one, fill && !one.log) : smooth(one, held, settings)));
  if (held.key.axis === "step") return traces;
  const oldest = (arm) => arm.start * arm.width;
  const inside = incidents.filter((one) => one.end >= oldest(held.arms[one.arm]));
  return inside.length && data.length ? [...traces, markers(panel, data, held, colors, inside, pointed, width, settings)] : traces;
}

function base({ line }, extra) {
  return { type: "scatter", name: line.label || line.series, hoverinfo: "none", line: { color: line.color, width: 1.6, dash: line.dash }, ...extra };
}

/** Steps over runs of known values; filled ones begin and end at zero, so that no slope spans a gap. */
function stepped(one, fill) {
  const { line, at, y } = one;
  const [x, values] = [[], []];
  const put = (a, b) => {
    x.push(a);
    values.push(b);
  };
  y.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    const opens = !Number.isFinite(y[i - 1]);
    const closes = !Number.isFinite(y[i + 1]);
    if (opens && fill) put(at[i].left, 0);
    put(at[i].left, value);
    if (!closes) return;
    put(at[i].right, value);
    if (fill) put(at[i].right, 0);
    put(at[i].right, NaN);
  });
  return [base(one, { x, y: values, mode: "lines", ...(fill ? { fill: "tozeroy", fillcolor: faint(line.color, 0.16) } : {}), line: { color: line.color, width: 1.4, dash: line.dash, shape: "hv" } })];
}

function smooth(one, held, settings) {
  const { line, at, y } = one;
  const x = at.map((bin) => bin.middle);
  const filled = y.filter(Number.isFinite).length;
  const sparse = filled < 0.6 * (y.length - Math.max(y.findIndex(Number.isFinite), 0));
  const mode = sparse || filled < 3 ? "lines+markers" : "lines";
  const marker = { color: line.color, size: 4 };
  const band = line.low && held.arms.length === 1 ? [range(one, x)] : [];
  const main = base(one, { x, y, mode, connectgaps: sparse, marker });
  if (!settings.smooth) return [...band, main];
  const raw = { ...main, name: `${main.name} as measured`, line: { ...main.line, color: faint(line.color, 0.35), width: 1, dash: "solid" }, marker: { color: faint(line.color, 0.35), size: 3 } };
  return [...band, raw, base(one, { x, y: smoothed(y, settings.smooth), mode: "lines", connectgaps: sparse })];
}

/** Exponentially weighted mean over about `points` points, without the pull of the first value. */
export function smoothed(values, points) {
  const keep = 1 - 2 / (points + 1);
  let [sum, weight] = [0, 0];
  return values.map((value) => {
    if (!Number.isFinite(value)) return NaN;
    sum = keep * sum + value;
    weight = keep * weight + 1;
    return sum / weight;
  });
}

/** Band from the minimum to the maximum of each bin, behind the mean: along the maxima and back along the minima. */
function range({ line, low, high }, x) {
  const there = x.map((_, i) => i).filter((i) => Number.isFinite(low[i]) && Number.isFinite(high[i]));
  const back = there.toReversed();
  return {
    type: "scatter", mode: "lines", name: "range", hoverinfo: "skip", line: { width: 0 }, fill: "toself", fillcolor: faint(line.color, 0.18),
    x: [...there, ...back].map((i) => x[i]),
    y: [...there.map((i) => high[i]), ...back.map((i) => low[i])],
  };
}

/** Mark each anomaly with a diamond and its number, on the outermost line at its peak. */
function markers(panel, data, held, colors, inside, pointed, width, settings) {
  const lines = data.map((one) => one.line);
  const axis = axisOf(held);
  const peaks = inside.map((one) => peakOf(panel, lines, held.arms[one.arm], one));
  const size = inside.map((one) => (one.label === pointed ? 14 : 9));
  const [begin, end] = shownRange(held, settings);
  const x = peaks.map((peak, i) => axis(held.arms[inside[i].arm])(peak.time));
  return {
    type: "scatter", name: "anomaly", mode: "markers+text", hoverinfo: "text",
    x,
    y: peaks.map((peak) => peak.value),
    text: labelled(inside, x, pointed, (width - LEFT - RIGHT) / (end - begin)),
    hovertext: inside.map((one) => `${one.label}: ${one.reason}`.replace(/&/g, "&amp;").replace(/</g, "&lt;")),
    customdata: inside.map((one) => one.label),
    textposition: panel.share ? "bottom center" : "top center", textfont: { color: colors.anomaly, size: 11, shadow: `0 0 2px ${colors.paper}, 0 0 3px ${colors.paper}` }, cliponaxis: Boolean(settings.zoom),
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
  const own = lines.filter((line) => line.arm === incident.arm);
  const names = (own.length ? own : lines).map((line) => line.high ?? line.series);
  const out = panel.share ? Math.min : Math.max;
  const valueAt = (i) => out(...names.map((name) => arm.columns[name][i]).filter(Number.isFinite));
  const newest = arm.columns[names[0]].length - 1;
  const bin = (time) => Math.min(Math.max(Math.floor(time / arm.width) - arm.start, 0), newest);
  const bins = [];
  for (let i = bin(incident.start); i <= bin(incident.end); i++) if (Number.isFinite(valueAt(i))) bins.push(i);
  if (!bins.length) return { time: Math.max(incident.start, arm.start * arm.width), value: NaN };
  const values = bins.map(valueAt);
  const [usual, peak] = [valueAt(Math.max(bins[0] - 1, 0)), out(...values)];
  const near = Number.isFinite(usual) ? usual + 0.9 * (peak - usual) : peak;
  const at = Math.max(values.findIndex((value) => (panel.share ? value <= near : value >= near)), 0);
  const middle = (arm.start + bins[at] + 0.5) * arm.width;
  return { time: bins.length > 1 ? Math.min(middle, arm.cards.now) : Math.max(incident.start, arm.start * arm.width), value: values[at] };
}

export function layoutOf(panel, data, held, colors, incidents, width, height, settings, log) {
  const [begin, end] = shownRange(held, settings);
  const pixels = width - LEFT - RIGHT;
  const text = { color: colors.text, size: 11, family: colors.font };
  const title = titleOf(held);
  const line = { gridcolor: colors.grid, zerolinecolor: colors.grid, tickfont: text, automargin: false, ticklabeloverflow: "allow", tickangle: 0 };
  return {
    width, height,
    margin: { l: LEFT, r: RIGHT, t: 12, b: title ? 34 : 22 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: text, showlegend: false, hovermode: "closest", dragmode: "zoom",
    hoverlabel: { font: { size: 11, family: colors.font }, align: "left" },
    xaxis: {
      ...line, showgrid: false, zeroline: false, ticklabelstandoff: 5, nticks: Math.max(2, Math.floor(pixels / STAMP)),
      type: held.key.axis === "time" ? "date" : "linear", range: [begin, end], autorange: false,
      ...(title ? { title: { text: title, font: text, standoff: 4 }, separatethousands: true } : { tickformat: end - begin < 2000 ? "%H:%M:%S.%L" : "%H:%M:%S" }),
    },
    yaxis: { ...line, fixedrange: true, nticks: Math.max(5, Math.min(10, Math.round(height / 24))), ...scaleOf(panel, data, log), separatethousands: true },
    shapes: held.arms.length > 1 || held.key.axis === "step" ? [] : [...pauses(held, colors), ...spans(incidents, held.arms[0], colors, ((end - begin) / pixels) * perMs(held), held)],
  };
}

/** ms of one unit of the axis. */
const perMs = (held) => (held.key.axis === "elapsed" ? 1000 : 1);

function scaleOf(panel, data, log) {
  if (log) return { type: "log", autorange: true, exponentformat: "none", minor: { ticks: "" } };
  if (!panel.share) return { type: "linear", autorange: true, ...(panel.steps ? { rangemode: "tozero" } : {}) };
  const values = data.flatMap((one) => one.y.filter(Number.isFinite));
  const low = Math.min(...values, 1);
  const room = Math.max(1 - low, 0.02);
  return { autorange: false, range: [Math.max(low - 0.15 * room, -0.02), 1 + 0.04 * room], tickformat: room < 0.05 ? ".1%" : ".0%" };
}

/** Spans of time over the whole height as one path, which plotly draws about as fast as a single rectangle. */
function bands(spans, fillcolor, held) {
  if (!spans.length) return [];
  const elapsed = held.key.axis === "elapsed" && axisOf(held)(held.arms[0]);
  const stamp = (ms) => (elapsed ? elapsed(ms).toFixed(3) : new Date(local(ms)).toISOString().slice(0, -1).replace("T", "_"));
  const path = spans.map(({ start, end }) => `M${stamp(start)},0V1H${stamp(end)}V0Z`).join("");
  return [{ type: "path", layer: "below", xref: "x", yref: "paper", path, fillcolor, line: { width: 0 } }];
}

/** Paused spans; a pause that has not ended is drawn until now. */
function pauses(held, colors) {
  const { key, status, arms } = held;
  const last = key.pauses.length - 1;
  const end = (i, end) => (i === last && status[0] === "paused" ? arms[0].cards.now : end);
  return bands(key.pauses.map(([from, to], i) => ({ start: from, end: end(i, to) })), colors.pause, held);
}

/** Spans of anomalies; spans within two pixels of each other are merged. */
function spans(incidents, arm, colors, pixel, held) {
  const oldest = arm.start * arm.width;
  const merged = [];
  for (const { start, end } of incidents.filter((one) => one.end > oldest)) {
    const last = merged.at(-1);
    if (last && start - last.end < 2 * pixel) last.end = Math.max(last.end, end);
    else merged.push({ start: Math.max(start, oldest), end });
  }
  return bands(merged, faint(colors.anomaly, 0.13), held);
}

/** The values of all lines at a value of the axis, the last bin that begins before it. */
export function valuesAt(data, x) {
  return data.map(({ line, at, y }) => {
    let i = at.length - 1;
    while (i >= 0 && at[i].left > x) i--;
    return { line, value: i < 0 || x > at[i].right ? NaN : y[i] };
  });
}

