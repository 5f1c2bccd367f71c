// The numbers of the chosen window; with two arms, both, one below the other.
import { element, say } from "./dom.js";
import { count, dollars, number, percent } from "./format.js";

const SPOKEN = { "1min": "last minute", "5min": "last 5 minutes", "1h": "last hour", all: "whole run" };
const LETTERS = ["A", "B"];

const exact = (c) => (c.error_bound > 0 ? `±${(100 * c.error_bound).toFixed(1)} %` : "exact");
const safe = (c) =>
  Number.isFinite(c.success_low) ? `\nrun ${(100 * c.success_low).toFixed(1)}–${(100 * c.success_high).toFixed(1)} % at any look` : "";

/** Title, whether it is known, the large text, the small one. */
const CARDS = [
  ["Events", () => true, (c) => count(c.events), (c, key) => (key.window === "all" ? "" : `${count(c.total)} in all`)],
  ["Rate", () => true, (c) => `${number(c.rate)} /s`, () => "of active time"],
  ["Success", (c) => c.outcomes > 0, (c) => percent(c.success_rate), (c) => `${count(c.successes)} of ${count(c.outcomes)}${safe(c)}`],
  ["Latency p95", (c) => Number.isFinite(c.p95), (c) => `${number(c.p95)} ms`, (c) => `p50 ${number(c.p50)}, p99 ${number(c.p99)}\n${exact(c)}`],
  ["Cost", (c) => Number.isFinite(c.cost), (c) => dollars(c.cost), (c) => `${dollars(c.cost_per_hour)} an hour`],
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
    say(this.caption, SPOKEN[key.window] + (key.estimated ? "; charts are estimated from a sample, numbers are not" : ""));
    CARDS.forEach(([, known, large, small], i) => {
      const card = this.cards[i];
      // once known it stays, so that nothing jumps when a window runs empty
      card.root.hidden = card.root.hidden && !arms.some((arm) => known(arm.cards));
      arms.forEach((arm, a) => {
        say(card.lines[a].large, large(arm.cards, key));
        say(card.lines[a].small, small(arm.cards, key));
      });
    });
  }
}
