// Cards with the numbers of the chosen window; several arms are shown one below the other.
import { element, setText } from "./dom.js";
import { LETTERS, count, dollars, number, percent, zone } from "./format.js";

const CAPTIONS = { "1min": "last minute", "5min": "last 5 minutes", "1h": "last hour", all: "whole run" };

const exact = (c) => (c.error_bound > 0 ? `±${(100 * c.error_bound).toFixed(1)} %` : "exact");
const interval = (c) =>
  Number.isFinite(c.success_low)
    ? `\nwhole run: ${(100 * c.success_low).toFixed(1)}–${(100 * c.success_high).toFixed(1)} % (95 % interval, valid at any time)`
    : "";

/** Title, whether the value is known, large text, small text. */
const CARDS = [
  ["Events", () => true, (c) => count(c.events), (c, key) => (key.window === "all" && !key.span ? "" : `${count(c.total)} in total`)],
  ["Rate", () => true, (c) => `${number(c.rate)} /s`, () => "per second not paused"],
  ["Success", (c) => c.outcomes > 0, (c) => percent(c.success_rate), (c) => `${count(c.successes)} of ${count(c.outcomes)}${interval(c)}`],
  ["Latency p95", (c) => Number.isFinite(c.p95), (c) => `${number(c.p95)} ms`, (c) => `p50 ${number(c.p50)}, p99 ${number(c.p99)}\n${exact(c)}`],
  ["Cost", (c) => Number.isFinite(c.cost), (c) => dollars(c.cost), (c) => `${dollars(c.cost_per_hour)} per hour`],
  ["Tokens", (c) => Number.isFinite(c.tokens), (c) => count(c.tokens), (c) => `${count(c.tokens_per_second)} /s`],
];

/** A card of a picked column: its newest value, and its extremes in the charts. */
function columnCard(name) {
  const extremes = (arm) => {
    const [low, high] = [Math.min, Math.max].map((out, i) => {
      const known = (arm.columns[`${i ? "high" : "low"}:${name}`] ?? []).filter(Number.isFinite);
      return known.length ? out(...known) : NaN;
    });
    return Number.isFinite(low) ? `min ${number(low)}, max ${number(high)}` : "";
  };
  const known = (c) => Number.isFinite(c[`last:${name}`]);
  return [name, known, (c) => number(c[`last:${name}`]), (c, key, arm) => `last value\n${extremes(arm)}`];
}

export class Cards {
  constructor() {
    this.caption = element("p", { class: "crucible-caption" });
    this.grid = element("div", { class: "crucible-cards" });
    this.row = element("div", { class: "crucible-captions" }, this.caption);
    this.root = element("div", {}, this.row, this.grid);
    this.cards = [];
  }

  compose(kinds, titles) {
    this.cards = kinds.map(([title]) => {
      const lines = titles.map((one, i) => ({
        large: element("span", { class: "crucible-large" }),
        small: element("span", { class: "crucible-small" }),
        letter: titles.length > 1 ? element("span", { class: `crucible-arm crucible-arm-${i}`, title: one.name }, LETTERS[i]) : "",
      }));
      const values = lines.map((line) => element("div", { class: "crucible-value" }, line.letter, line.large, line.small));
      return { lines, root: element("div", { class: `crucible-card${title === "Success" ? " crucible-wide" : ""}`, role: "group", "aria-label": title, hidden: true }, element("div", { class: "crucible-label" }, title), ...values) };
    });
    this.grid.replaceChildren(...this.cards.map((card) => card.root));
  }

  paint({ key, arms, span }) {
    const kinds = [...CARDS, ...key.picked.map(columnCard)];
    const shape = JSON.stringify([kinds.map(([title]) => title), key.titles.map((one) => one.name)]);
    if (shape !== this.shape) {
      this.shape = shape;
      this.compose(kinds, key.titles);
    }
    const now = arms[0].cards.now;
    const shown = span ? `from ${span}` : CAPTIONS[key.window];
    setText(this.caption, `${shown}; times in ${zone(now)}${key.estimated ? "; charts are estimated from a sample, numbers cover all events" : ""}`);
    kinds.forEach(([, known, large, small], i) => {
      const card = this.cards[i];
      // a card once shown stays, so that the layout does not jump when a window has no values
      card.root.hidden = card.root.hidden && !arms.some((arm) => known(arm.cards));
      arms.forEach((arm, a) => {
        setText(card.lines[a].large, large(arm.cards, key));
        setText(card.lines[a].small, small(arm.cards, key, arm));
      });
    });
  }
}
