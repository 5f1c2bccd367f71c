// Lines of panels, for arms and groups.
import assert from "node:assert/strict";
import { test } from "node:test";
import { linesOf, panelsOf } from "../src/panels.js";
import { DASHES } from "../src/theme.js";

const COLORS = { p50: "1", p95: "2", p99: "3", rate: "4", success: "5", cost: "6", arm: ["a0", "a1"], group: ["g0", "g1", "g2", "g3", "g4", "g5", "rest"], column: ["c"] };
const KEY = { groups: ["x", "(rest)"], by: "model", picked: [] };
const arm = (names) => ({ columns: Object.fromEntries(names.map((name) => [name, [1]])) });

test("groups of several arms have a colour each, and arms a dash", () => {
  const arms = [arm(["p95", "p95|0"]), arm(["p95", "p95|0", "p95|1"])];
  const [latency] = panelsOf(KEY, arms, COLORS);
  const lines = linesOf(latency, arms, COLORS, [{ name: "one" }, { name: "two" }]);
  assert.deepEqual(lines.map((line) => [line.arm, line.series, line.label, line.color]), [
    [0, "p95|0", "A x", "g0"], [0, "p95|1", "A (rest)", "rest"], [1, "p95|0", "B x", "g0"], [1, "p95|1", "B (rest)", "rest"],
  ]);
  assert.deepEqual(lines.map((line) => line.dash), [DASHES[0], DASHES[0], DASHES[1], DASHES[1]]);
});

test("arms without groups have a colour each", () => {
  const arms = [arm(["p95"]), arm(["p95"])];
  const [latency] = panelsOf({ ...KEY, groups: [] }, arms, COLORS);
  assert.deepEqual(linesOf(latency, arms, COLORS).map((line) => line.color), ["a0", "a1"]);
});
