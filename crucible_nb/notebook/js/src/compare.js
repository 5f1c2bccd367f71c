// The running comparison: second arm minus first, with an interval that may be looked at as often as one likes.
import { element, say } from "./dom.js";
import { number } from "./format.js";

export class Comparison {
  constructor() {
    this.body = element("tbody", {});
    const heads = ["Metric", "A", "B", "B − A", "Interval (95 %, valid at every look)", "So far"].map((text) => element("th", { scope: "col" }, text));
    const table = element("table", { "aria-label": "Running comparison" }, element("thead", {}, element("tr", {}, ...heads)), this.body);
    this.root = element("div", { class: "crucible-comparison", hidden: true }, element("h3", {}, "B against A"), table);
  }

  paint({ key }) {
    this.root.hidden = !key.compare.length;
    const rows = key.compare.map((one) => {
      const [a, b] = one.values.map((x) => x ?? NaN);
      const known = one.low !== null && one.high !== null;
      const interval = known ? `${number(one.low)} to ${number(one.high)}` : "not known yet";
      const verdict = one.better === null ? (known ? "no difference shown" : "–") : `${"AB"[one.better]} is better`;
      const texts = [one.metric, number(a), number(b), number(b - a), interval, verdict];
      return element("tr", {}, ...texts.map((text, i) => element(i ? "td" : "th", i ? {} : { scope: "row" }, text)));
    });
    this.body.replaceChildren(...rows);
  }

  close() {}
}
