// Cards with the numbers of the chosen window; two arms are shown one below the other.
import { element, setText } from "./dom.js";
import { count, dollars, number, percent } from "./format.js";

const CAPTIONS = { "1min": "last minute", "5min": "last 5 minutes", "1h": "last hour", all: "whole run" };
const LETTERS = ["A", "B"];

const exact = (c) => (c.error_bound > 0 ? `±${(100 * c.error_bound).toFixed(1)} %` : "exact");
const interval = (c) =>
  Number.isFinite(c.success_low) ? `\nrun ${(100 * c.success_low).toFixed(1)}–${(100 * c.success_high).toFixed(1)} %, anytime-valid` : "";

/** Title, whether the value is known, large text, small text. */
const CARDS = [
  ["Events", () => true, (c) => count(c.events), (c, key) => (key.window === "all" ? "" : `${count(c.total)} in total`)],
  ["Rate", () => true, (c) => `${number(c.rate)} /s`, () => "of active time"],
  ["Success", (c) => c.outcomes > 0, (c) => percent(c.success_rate), (c) => `${count(c.successes)} of ${count(c.outcomes)}${interval(c)}`],
  ["Latency p95", (c) => Number.isFinite(c.p95), (c) => `${number(c.p95)} ms`, (c) => `p50 ${number(c.p50)}, p99 ${number(c.p99)}\n${exact(c)}`],
  ["Cost", (c) => Number.isFinite(c.cost), (c) => dollars(c.cost), (c) => `${dollars(c.cost_per_hour)} per hour`],
  ["Tokens", (c) => Number.isFinite(c.tokens), (c) => count(c.tokens), (c) => `${count(c.tokens_per_second)} /s`],
];

export class Cards {
  constructor() {
    this.caption = element("p", { class: "crucible-caption" });
    this.grid = element("div", { class: "crucible-cards" });
    this.root = element("div", {}, this.caption, this.grid);
    this.cards = [];
  }

  compose(arms) {
    this.cards = CARDS.map(([title]) => {
      const lines = Array.from({ length: arms }, (_, i) => ({
        large: element("span", { class: "crucible-large" }),
        small: element("span", { class: "crucible-small" }),
        letter: arms > 1 ? element("span", { class: `crucible-arm crucible-arm-${i}` }, LETTERS[i]) : "",
      }));
      const values = lines.map((line) => element("div", { class: "crucible-value" }, line.letter, line.large, line.small));
      return { lines, root: element("div", { class: "crucible-card", role: "group", "aria-label": title, hidden: true }, element("div", { class: "crucible-label" }, title), ...values) };
    });
    this.grid.replaceChildren(...this.cards.map((card) => card.root));
  }

  paint({ key, arms }) {
    if (!this.cards.length || this.cards[0].lines.length !== arms.length) this.compose(arms.length);
    setText(this.caption, CAPTIONS[key.window] + (key.estimated ? "; charts are estimated from a sample, numbers cover all events" : ""));
    CARDS.forEach(([, known, large, small], i) => {
      const card = this.cards[i];
      // a card once shown stays, so that the layout does not jump when a window has no values
      card.root.hidden = card.root.hidden && !arms.some((arm) => known(arm.cards));
      arms.forEach((arm, a) => {
        setText(card.lines[a].large, large(arm.cards, key));
        setText(card.lines[a].small, small(arm.cards, key));
      });
    });
  }
}
