// The table of runs: what a filter finds, and in which order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fits, order } from "../src/runs.js";

const run = (values) => ({ values, texts: Object.values(values).filter((one) => one !== null).map((one) => String(one).toLowerCase()) });
const RUN = run({ name: "ResNet, big", status: "stopped", lr: 0.1, note: null, tags: "ab, best" });

test("a filter compares numbers and texts, and finds parts of texts", () => {
  for (const words of [["lr<0.2"], ["lr>=0.1", "resnet"], ["status=Stopped"], ["BEST"], ["lr!=0.2"], ["status!=failed"], []]) assert.ok(fits(RUN, words), words);
  for (const words of [["lr>0.1"], ["status=failed"], ["nope"], ["note=1"], ["missing<3"], ["resnet", "lr>1"]]) assert.ok(!fits(RUN, words), words);
});

test("numbers are ordered by size, texts by letter, and missing values come last in either direction", () => {
  const sorted = (values, down) => values.toSorted((one, two) => order(one, two, down));
  assert.deepEqual(sorted([10, null, 9, 0.5], false), [0.5, 9, 10, null]);
  assert.deepEqual(sorted([10, null, 9, 0.5], true), [10, 9, 0.5, null]);
  assert.deepEqual(sorted(["b", "", "a"], true), ["b", "a", ""]);
});
