// Anomalies in a chart: a mark for each, and numbers where they fit.
import assert from "node:assert/strict";
import { test } from "node:test";
import { layoutOf, tracesOf } from "../src/figure.js";

const COLORS = { anomaly: "rgb(1,2,3)", paper: "#fff" };
const PANEL = { id: "latency", metric: "latency_ms" };
const LINES = [{ series: "p95", label: "p95", color: "#000", dash: "solid", arm: 0 }];
const SECONDS = 60;

const ARM = { start: 0, width: 1000, columns: { p95: Array(SECONDS).fill(5) }, cards: { now: 1000 * SECONDS, wall: SECONDS } };
const HELD = { key: { window: "1min", pauses: [] }, status: ["running"], arms: [ARM] };

const incidentsAt = (spans) => spans.map(([from, to], i) => ({ arm: 0, label: String(i + 1), reason: "", start: 1000 * from, end: 1000 * to }));

function labels(times, pointed = null, width = 370) {
  const marks = tracesOf(PANEL, LINES, HELD, COLORS, incidentsAt(times.map((time) => [time, time])), pointed, width).at(-1);
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
  assert.deepEqual(tracesOf(PANEL, LINES, HELD, COLORS, [], null, 370).map((trace) => trace.name), ["p95"]);
});

test("anomalies have bands, and touching ones share a band", () => {
  const { shapes } = layoutOf(PANEL, HELD, COLORS, incidentsAt([[5, 8], [8, 9], [20, 25], [50, 50.5]]), 370, 168);
  assert.equal(shapes.length, 1);
  const ends = [...shapes[0].path.matchAll(/M([^,]+),0V1H([^V]+)V0Z/g)].map((found) => found.slice(1).map((one) => Number(one.slice(-6))));
  assert.deepEqual(ends, [[5, 9], [20, 25], [50, 50.5]]);
});

test("pauses have bands, an open pause until now", () => {
  const held = { ...HELD, key: { window: "1min", pauses: [[1e4, 2e4], [5e4, 5e4]] }, status: ["paused"] };
  const { path } = layoutOf(PANEL, held, COLORS, [], 370, 168).shapes[0];
  assert.match(path, /:10\.000,0V1H[^V]+:20\.000V0ZM[^,]+:50\.000,0V1H[^V]+:00\.000V0Z$/);
});

test("a range is one closed line without gaps", () => {
  const columns = { p95: [1, 2, NaN, 4], low: [0, 1, NaN, 3], high: [2, 3, NaN, 5] };
  const [range] = tracesOf(PANEL, [{ ...LINES[0], low: "low", high: "high" }], { ...HELD, arms: [{ ...ARM, columns }] }, COLORS, [], null, 370);
  assert.deepEqual(range.y, [2, 3, 5, 3, 1, 0]);
  assert.deepEqual(range.x.slice(3), range.x.slice(0, 3).toReversed());
});
