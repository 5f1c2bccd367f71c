// The horizontal axis: time of day, elapsed seconds or step, and the spans that charts show of it.
import { clock, elapsed, number } from "./format.js";

const SPAN = { "1min": 60e3, "5min": 300e3, "1h": 3600e3, all: null };

/** Local time for plotly, which shows dates as UTC. */
export const local = (ms) => ms - new Date(ms).getTimezoneOffset() * 60e3;
const utc = (ms) => ms + new Date(ms).getTimezoneOffset() * 60e3;

/** Zero of the elapsed seconds of an arm: its start, or with several arms and a short window its now. */
function zeroOf(held, arm) {
  const { now, wall } = arm.cards;
  return held.arms.length > 1 && held.key.window !== "all" ? now : now - 1000 * wall;
}

/** Convert ms since 1970 (or steps) of an arm to the axis. */
export function axisOf(held) {
  const { axis } = held.key;
  if (axis === "step") return () => (x) => x;
  if (axis === "time") return () => local;
  return (arm) => {
    const zero = zeroOf(held, arm);
    return (ms) => (ms - zero) / 1000;
  };
}

/** Convert the axis to ms since 1970 (or steps) of an arm. */
export function inverseOf(held, arm) {
  const { axis } = held.key;
  if (axis === "step") return (x) => x;
  if (axis === "time") return utc;
  const zero = zeroOf(held, arm);
  return (x) => 1000 * x + zero;
}

/** Left ends, centres and right ends of an arm's bins, up to its now. */
export function binsOf(held, arm, count) {
  const steps = held.key.axis === "step";
  const { now } = arm.cards;
  return Array.from({ length: count }, (_, i) => {
    const left = (arm.start + i) * arm.width;
    if (steps) return { left, middle: left + (arm.width - 1) / 2, right: left + arm.width };
    const right = Math.min(left + arm.width, Math.max(now, left));
    return { left, middle: (left + right) / 2, right };
  });
}

/** The range of the axis without a zoom. */
export function rangeOf(held, axis) {
  const ends = held.arms.map((arm) => (held.key.axis === "step" ? stepEnds(arm) : timeEnds(held, arm, axis(arm))));
  return [Math.min(...ends.map((end) => end[0])), Math.max(...ends.map((end) => end[1]))];
}

function stepEnds(arm) {
  const [first] = Object.values(arm.columns);
  const left = arm.start * arm.width;
  return [left, left + Math.max(first?.length ?? 0, 1) * arm.width];
}

function timeEnds(held, arm, to) {
  const span = SPAN[held.key.window];
  const { now, wall } = arm.cards;
  const bins = arm.start * arm.width;
  // a run shorter than its window fills the chart from the left
  const begin = span === null ? Math.min(now - 1000 * wall, bins) : Math.max(now - span, Math.min(now - 1000 * wall, bins));
  return [to(Math.min(begin, now - 5000)), to(now)];
}

/** The title below the axis, "" for times of day. */
export function titleOf(held) {
  const { axis, window } = held.key;
  if (axis === "time") return "";
  if (axis === "step") return "step";
  if (held.arms.length === 1) return "s since the start";
  return window === "all" ? "s since each began" : "s before now";
}

/** A value of the axis in words. */
export function say(held, x) {
  const { axis } = held.key;
  if (axis === "step") return `step ${number(Math.floor(x))}`;
  if (axis === "time") return clock(utc(x));
  return x < 0 ? `${number(Number(x.toPrecision(3)))} s` : elapsed(x);
}

/** A value that plotly reports, as a number. */
export function numberOf(value) {
  return typeof value === "string" ? Date.parse(`${value.trim().replace(" ", "T")}Z`) : Number(value);
}

