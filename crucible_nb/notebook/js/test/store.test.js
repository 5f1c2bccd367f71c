// The store holds only what the kernel sent, also when messages are lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Store } from "../src/store.js";

const CARDS = ["now", "total"];
const SERIES = ["rate", "cost"];

function buffer(cards, rows) {
  const bytes = new ArrayBuffer(8 * cards.length + 4 * rows.flat().length + 4);
  // start at an offset that is not a multiple of 8, as websockets do
  const view = new DataView(bytes, 4);
  cards.forEach((x, i) => view.setFloat64(8 * i, x, true));
  rows.flat().forEach((x, i) => view.setFloat32(8 * cards.length + 4 * i, x, true));
  return [view];
}

const key = (n, first, rows) => [
  { kind: "key", version: 2, n, cards: CARDS, series: SERIES, status: ["running"], arms: [{ first, base: first, width: 1000 }], incidents: [], alerts: [] },
  buffer([1, n], rows),
];
const tick = (n, first, rows, more = {}) => [
  { kind: "tick", n, status: ["running"], arms: [{ first, base: 0, width: 1000, ...more.arm }], ...more.message },
  buffer([1, n], rows),
];

function store() {
  const sent = [];
  return [new Store((message) => sent.push(message)), sent];
}

test("ticks continue at their first bin and replace the newest state", () => {
  const [state] = store();
  state.take(...key(1, 10, [[1, 2], [3, 4]]));
  state.take(...tick(2, 11, [[5, 6], [7, 8]]));
  assert.deepEqual(state.arms[0].bins.columns, { rate: [1, 5, 7], cost: [2, 6, 8] });
  assert.equal(state.arms[0].cards.total, 2);
});

test("bins before the base are dropped, and a gap is NaN", () => {
  const [state] = store();
  state.take(...key(1, 10, [[1, 2]]));
  state.take(...tick(2, 12, [[5, 6]], { arm: { base: 11 } }));
  assert.deepEqual(state.arms[0].bins.columns.rate, [NaN, 5]);
  assert.equal(state.arms[0].bins.start, 11);
});

test("after a missed message it requests a keyframe and waits for it", () => {
  const [state, sent] = store();
  state.take(...tick(7, 10, [[1, 1]]));
  assert.equal(sent[0].hello, true);
  state.take(...key(8, 10, [[1, 2]]));
  state.take(...tick(10, 11, [[9, 9]]));
  assert.deepEqual(state.arms[0].bins.columns.rate, [1]);
  state.take(...key(11, 10, [[1, 2], [3, 4]]));
  state.take(...tick(12, 11, [[5, 6]]));
  assert.deepEqual(state.arms[0].bins.columns.rate, [1, 5]);
});

test("bins of another width are not merged", () => {
  const [state, sent] = store();
  state.take(...key(1, 10, [[1, 2]]));
  state.take(...tick(2, 5, [[9, 9]], { arm: { width: 2000 } }));
  assert.deepEqual(state.arms[0].bins.columns.rate, [1]);
  assert.equal(sent.length, 1);
});

test("incidents grow in place, alerts add up, and arms have letters", () => {
  const [state] = store();
  const incident = { arm: 0, id: 1, count: 1 };
  state.take(...key(1, 10, [[1, 2]]));
  state.take(...tick(2, 10, [[1, 2]], { message: { incidents: [incident], alerts: [{ arm: 0, time: 1 }] } }));
  state.take(...tick(3, 10, [[1, 2]], { message: { incidents: [{ ...incident, count: 5 }] } }));
  assert.equal(state.incidents.get("1").count, 5);
  assert.equal(state.alerts.length, 1);
});

test("a message of another version is reported", () => {
  const [state] = store();
  const [message, buffers] = key(1, 10, [[1, 2]]);
  state.take({ ...message, version: 99 }, buffers);
  assert.match(state.trouble, /reload/);
});

test("an error of the kernel is shown until the next tick", () => {
  const [state] = store();
  state.take(...key(1, 10, [[1, 2]]));
  state.take({ kind: "trouble", text: "ValueError: no" }, []);
  assert.equal(state.trouble, "ValueError: no");
  state.take(...tick(2, 10, [[1, 2]]));
  assert.equal(state.trouble, "");
});

test("tables replace the earlier ones and are not numbered", () => {
  const [state] = store();
  state.take(...key(1, 10, [[1, 2]]));
  state.take({ kind: "tables", arms: [{ errors: [] }] }, []);
  state.take(...tick(2, 10, [[1, 2]]));
  assert.deepEqual(state.tables, [{ errors: [] }]);
});
