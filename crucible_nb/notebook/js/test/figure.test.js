// Anomalies in a chart: a mark for each, and numbers only as far as they can be read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tracesOf } from "../src/figure.js";

const COLORS = { anomaly: "rgb(1,2,3)", paper: "#fff" };
const PANEL = { id: "latency", metric: "latency_ms" };
const LINES = [{ series: "p95", label: "p95", color: "#000", dash: "solid", arm: 0 }];
const SECONDS = 60;

function labels(times, pointed = null, width = 370) {
  const incidents = times.map((time, i) => ({ arm: 0, label: String(i + 1), reason: "", start: 1000 * time, end: 1000 * time }));
  const arm = { start: 0, width: 1000, columns: { p95: Array(SECONDS).fill(5) }, cards: { now: 1000 * SECONDS, wall: SECONDS } };
  const held = { key: { window: "1min" }, arms: [arm] };
  const marks = tracesOf(PANEL, LINES, held, COLORS, incidents, pointed, width).at(-1);
  assert.equal(marks.x.length, times.length);
  return marks.text;
}

test("labels with room between them are all there", () => {
  assert.deepEqual(labels([5, 30, 55]), ["1", "2", "3"]);
});

test("of those that would cover each other the newest has its label", () => {
  assert.deepEqual(labels([5, 30, 30.5]), ["1", "", "3"]);
});

test("what is pointed at is always labelled", () => {
  assert.deepEqual(labels([5, 30, 30.5], "2"), ["1", "2", ""]);
});

test("a wider chart has room for more", () => {
  const many = Array.from({ length: 30 }, (_, i) => 2 * i);
  const shown = (width) => labels(many, null, width).filter(Boolean).length;
  assert.ok(shown(370) < shown(1200));
  assert.equal(shown(1200), 30);
});
