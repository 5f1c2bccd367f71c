// Anomalies in a chart: a mark for each, and numbers where they fit.
import assert from "node:assert/strict";
import { test } from "node:test";
import { csvOf } from "../src/csv.js";
import { SETTINGS, dataOf, isLog, layoutOf, smoothed, tracesOf, valuesAt } from "../src/figure.js";

const COLORS = { anomaly: "rgb(1,2,3)", paper: "#fff" };
const PANEL = { id: "latency", metric: "latency_ms", lines: [1] };
const LINES = [{ series: "p95", label: "p95", color: "#000", dash: "solid", arm: 0 }];
const SECONDS = 60;

const ARM = { start: 0, width: 1000, columns: { p95: Array(SECONDS).fill(5) }, cards: { now: 1000 * SECONDS, wall: SECONDS } };
const HELD = { key: { window: "1min", axis: "time", pauses: [] }, status: ["running"], arms: [ARM] };

const traces = (panel, lines, held, incidents, pointed = null, width = 370, settings = SETTINGS) =>
  tracesOf(panel, dataOf(panel, lines, held, settings), held, COLORS, incidents, pointed, width, settings);
const layout = (held, incidents, settings = SETTINGS) => layoutOf(PANEL, dataOf(PANEL, LINES, held, settings), held, COLORS, incidents, 370, 168, settings, false);

const incidentsAt = (spans) => spans.map(([from, to], i) => ({ arm: 0, label: String(i + 1), reason: "", start: 1000 * from, end: 1000 * to }));

function labels(times, pointed = null, width = 370) {
  const marks = traces(PANEL, LINES, HELD, incidentsAt(times.map((time) => [time, time])), pointed, width).at(-1);
  assert.equal(marks.x.length, times.length);
  return marks.text;
}

test("labels that do not overlap are all shown", () => {
  assert.deepEqual(labels([5, 30, 55]), ["1", "2", "3"]);
});

test("of overlapping labels the newest is shown", () => {
  assert.deepEqual(labels([5, 30, 30.5]), ["1", "", "3"]);
});

test("a selected anomaly is always labelled", () => {
  assert.deepEqual(labels([5, 30, 30.5], "2"), ["1", "2", ""]);
});

test("a wider chart shows more labels", () => {
  const many = Array.from({ length: 30 }, (_, i) => 2 * i);
  const shown = (width) => labels(many, null, width).filter(Boolean).length;
  assert.ok(shown(370) < shown(1200));
  assert.equal(shown(1200), 30);
});

test("without anomalies only the lines are drawn", () => {
  assert.deepEqual(traces(PANEL, LINES, HELD, []).map((trace) => trace.name), ["p95"]);
});

test("anomalies have bands, and touching ones share a band", () => {
  const { shapes } = layout(HELD, incidentsAt([[5, 8], [8, 9], [20, 25], [50, 50.5]]));
  assert.equal(shapes.length, 1);
  const ends = [...shapes[0].path.matchAll(/M([^,]+),0V1H([^V]+)V0Z/g)].map((found) => found.slice(1).map((one) => Number(one.slice(-6))));
  assert.deepEqual(ends, [[5, 9], [20, 25], [50, 50.5]]);
});

test("pauses have bands, an open pause until now", () => {
  const held = { ...HELD, key: { window: "1min", axis: "time", pauses: [[1e4, 2e4], [5e4, 5e4]] }, status: ["paused"] };
  const { path } = layout(held, []).shapes[0];
  assert.match(path, /:10\.000,0V1H[^V]+:20\.000V0ZM[^,]+:50\.000,0V1H[^V]+:00\.000V0Z$/);
});

test("a range is one closed line without gaps", () => {
  const columns = { p95: [1, 2, NaN, 4], low: [0, 1, NaN, 3], high: [2, 3, NaN, 5] };
  const [range] = traces(PANEL, [{ ...LINES[0], low: "low", high: "high" }], { ...HELD, arms: [{ ...ARM, columns }] }, []);
  assert.deepEqual(range.y, [2, 3, 5, 3, 1, 0]);
  assert.deepEqual(range.x.slice(3), range.x.slice(0, 3).toReversed());
});

const withColumn = (values, more = {}) => ({ ...HELD, ...more, arms: [{ ...ARM, columns: { p95: values } }] });

test("a filled step line falls to zero at both edges of a gap", () => {
  const [one] = traces({ ...PANEL, steps: true }, LINES, withColumn([4, NaN, NaN, 6]), []);
  assert.deepEqual(one.y.filter((y) => !Number.isNaN(y)), [0, 4, 4, 0, 0, 6, 6, 0]);
  assert.equal(one.x.length, one.y.length);
});

test("a zoom stays, and only what is inside is drawn", () => {
  const settings = { ...SETTINGS, zoom: [10_000, 20_000] };
  const { xaxis } = layout({ ...HELD, arms: [{ ...ARM, cards: { now: 99_000, wall: 99 } }] }, [], settings);
  assert.deepEqual(xaxis.range, [10_000, 20_000]);
  const [{ at }] = dataOf(PANEL, LINES, HELD, settings);
  assert.deepEqual([at[0].left, at.at(-1).left], [8000, 21_000]);
});

test("the success rate ends at 100 %", () => {
  const panel = { ...PANEL, share: true };
  const { yaxis } = layoutOf(panel, dataOf(panel, LINES, withColumn([1, 1, 1]), SETTINGS), HELD, COLORS, [], 370, 168, SETTINGS, false);
  assert.ok(yaxis.range[1] < 1.001);
});

test("latency is logarithmic where its range asks for it, and stays so until a person chooses", () => {
  const of = (values) => dataOf(PANEL, LINES, withColumn(values), SETTINGS);
  const wide = [...Array(20).fill(10), 900];
  assert.equal(isLog(PANEL, of(wide), SETTINGS), true);
  assert.equal(isLog(PANEL, of([...Array(20).fill(10), 300]), SETTINGS, true), true);
  assert.equal(isLog(PANEL, of([...Array(20).fill(10), 300]), SETTINGS, false), false);
  assert.equal(isLog(PANEL, of(wide), { ...SETTINGS, log: new Map([["latency", false]]) }), false);
  assert.equal(isLog({ ...PANEL, id: "rate" }, of(wide), SETTINGS), false);
});

test("a smoothed line keeps the measured one, and anomalies at its peaks", () => {
  const settings = { ...SETTINGS, smooth: 15 };
  const values = Array(SECONDS).fill(5);
  values[30] = 50;
  const all = traces(PANEL, LINES, withColumn(values), incidentsAt([[30, 30.5]]), null, 370, settings);
  assert.deepEqual(all.map((one) => one.name), ["p95 as measured", "p95", "anomaly"]);
  assert.equal(Math.max(...all[0].y), 50);
  assert.ok(Math.max(...all[1].y) < 15);
  assert.equal(all[2].y[0], 50);
  assert.deepEqual(smoothed([1, NaN, 1], 5), [1, NaN, 1]);
});

test("a hidden line is not drawn", () => {
  assert.deepEqual(traces(PANEL, LINES, HELD, [], null, 370, { ...SETTINGS, hidden: new Set(["latency|0|p95"]) }), []);
});

test("the crosshair shows the bin that holds the moment", () => {
  const data = dataOf(PANEL, LINES, withColumn([1, 2, NaN, 4]), SETTINGS);
  assert.deepEqual([500, 1500, 2500, 3999, 1e9].map((x) => valuesAt(data, x)[0].value), [1, 2, NaN, 4, NaN]);
});

test("by step the axis is the step, and nothing of time is drawn", () => {
  const held = { ...HELD, key: { ...HELD.key, axis: "step" }, arms: [{ start: 5, width: 2, columns: { p95: [1, 2] }, cards: { now: 0, wall: 0 } }] };
  assert.deepEqual(traces(PANEL, LINES, held, incidentsAt([[1, 2]]))[0].x, [10.5, 12.5]);
  assert.deepEqual([layout(held, []).xaxis.range, layout(held, []).xaxis.type], [[10, 14], "linear"]);
});

test("data are written with their times in UTC", () => {
  const text = csvOf(dataOf(PANEL, [{ ...LINES[0], label: 'a "name", b' }], withColumn([1.5, NaN, 3]), SETTINGS), HELD);
  assert.equal(text, 'time,line,value\n1970-01-01T00:00:00.000Z,"a ""name"", b",1.5\n1970-01-01T00:00:02.000Z,"a ""name"", b",3\n');
});
