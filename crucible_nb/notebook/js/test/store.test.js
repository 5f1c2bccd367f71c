// The store: only ever what the kernel sent, whatever got lost on the way.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Store } from "../src/store.js";

const CARDS = ["now", "total"];
const SERIES = ["rate", "cost"];

function buffer(cards, rows) {
  const bytes = new ArrayBuffer(8 * cards.length + 4 * rows.flat().length + 4);
  // begin at an odd place, as websockets do
  const view = new DataView(bytes, 4);
  cards.forEach((x, i) => view.setFloat64(8 * i, x, true));
  rows.flat().forEach((x, i) => view.setFloat32(8 * cards.length + 4 * i, x, true));
  return [view];
}

const key = (n, first, rows) => [
  { kind: "key", version: 1, n, cards: CARDS, series: SERIES, status: ["running"], arms: [{ first, base: first, width: 1000 }], incidents: [], alerts: [] },
  buffer([1, n], rows),
];
const tick = (n, first, rows, more = {}) => [
  { kind: "tick", n, status: ["running"], arms: [{ first, base: 0, width: 1000, ...more.arm }], ...more.message },
  buffer([1, n], rows),
];

function store() {
  const said = [];
  return [new Store((message) => said.push(message)), said];
}

test("ticks go on where they say, and replace the newest bin", () => {
  const [one] = store();
  one.take(...key(1, 10, [[1, 2], [3, 4]]));
  one.take(...tick(2, 11, [[5, 6], [7, 8]]));
  assert.deepEqual(one.arms[0].bins.columns, { rate: [1, 5, 7], cost: [2, 6, 8] });
  assert.equal(one.arms[0].cards.total, 2);
});

test("bins that are no longer held are forgotten, a gap is nobody knows", () => {
  const [one] = store();
  one.take(...key(1, 10, [[1, 2]]));
  one.take(...tick(2, 12, [[5, 6]], { arm: { base: 11 } }));
  assert.deepEqual(one.arms[0].bins.columns.rate, [NaN, 5]);
  assert.equal(one.arms[0].bins.start, 11);
});

test("a message that is missed makes it ask, and wait for a keyframe", () => {
  const [one, said] = store();
  one.take(...tick(7, 10, [[1, 1]]));
  assert.equal(said[0].hello, true);
  one.take(...key(8, 10, [[1, 2]]));
  one.take(...tick(10, 11, [[9, 9]]));
  assert.deepEqual(one.arms[0].bins.columns.rate, [1]);
  one.take(...key(11, 10, [[1, 2], [3, 4]]));
  one.take(...tick(12, 11, [[5, 6]]));
  assert.deepEqual(one.arms[0].bins.columns.rate, [1, 5]);
});

test("bins of another width are not mixed in", () => {
  const [one, said] = store();
  one.take(...key(1, 10, [[1, 2]]));
  one.take(...tick(2, 5, [[9, 9]], { arm: { width: 2000 } }));
  assert.deepEqual(one.arms[0].bins.columns.rate, [1]);
  assert.equal(said.length, 1);
});

test("incidents grow in place, alerts add up, and arms have letters", () => {
  const [one] = store();
  const incident = { arm: 0, id: 1, count: 1 };
  one.take(...key(1, 10, [[1, 2]]));
  one.take(...tick(2, 10, [[1, 2]], { message: { incidents: [incident], alerts: [{ arm: 0, time: 1 }] } }));
  one.take(...tick(3, 10, [[1, 2]], { message: { incidents: [{ ...incident, count: 5 }] } }));
  assert.equal(one.incidents.get("1").count, 5);
  assert.equal(one.alerts.length, 1);
});

test("another version says so instead of guessing", () => {
  const [one] = store();
  const [message, buffers] = key(1, 10, [[1, 2]]);
  one.take({ ...message, version: 99 }, buffers);
  assert.match(one.trouble, /reload/);
});

test("trouble of the kernel is shown until it is over", () => {
  const [one] = store();
  one.take(...key(1, 10, [[1, 2]]));
  one.take({ kind: "trouble", text: "ValueError: no" }, []);
  assert.equal(one.trouble, "ValueError: no");
  one.take(...tick(2, 10, [[1, 2]]));
  assert.equal(one.trouble, "");
});
