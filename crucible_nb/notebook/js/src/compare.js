// The running comparison: every other arm minus the first, with an interval that is valid at any time.
import { element, setText } from "./dom.js";
import { LETTERS, dollars, number, percent } from "./format.js";

const HEADS = ["Metric", "A", "Other", "Difference", "95 % interval, valid at any time", "Interval so far", "Verdict"];
const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, EDGE] = [150, 30, 4];

const UNITS = {
  share: [percent, (x) => `${sign(100 * x)} points`],
  ms: [(x) => `${number(x)} ms`, (x) => `${sign(x)} ms`],
  USD: [dollars, (x) => `${x < 0 ? "−" : "+"}${dollars(Math.abs(x))}`],
};

function sign(x) {
  if (!Number.isFinite(x)) return "–";
  const size = Number(Math.abs(x).toPrecision(3));
  return `${x < 0 ? "−" : "+"}${number(size)}`;
}

export class Comparison {
  constructor() {
    this.body = element("tbody", {});
    const heads = HEADS.map((text) => element("th", { scope: "col" }, text));
    const table = element("table", { "aria-label": "Running comparison against A" }, element("thead", {}, element("tr", {}, ...heads)), this.body);
    const scroll = element("div", { class: "crucible-scroll", tabindex: "0", role: "group", "aria-label": "Running comparison" }, table);
    this.root = element("div", { class: "crucible-comparison", hidden: true }, scroll);
    this.rows = new Map();
  }

  paint({ key }) {
    this.root.hidden = !key.compare.length;
    this.names = key.titles.map((title, i) => `${LETTERS[i]} ${title.name}`);
    for (const one of key.compare) this.put(one);
  }

  put(one) {
    const id = `${one.arm} ${one.metric}`;
    let row = this.rows.get(id);
    if (!row) {
      const cells = HEADS.map((_, i) => element(i ? "td" : "th", i ? {} : { scope: "row" }));
      row = { cells, root: element("tr", { "data-metric": one.metric, "data-arm": one.arm }, ...cells), trail: 0 };
      this.rows.set(id, row);
      this.body.append(row.root);
    }
    const [plain, signed] = UNITS[one.unit];
    const [a, b] = one.values.map((x) => x ?? NaN);
    const known = one.low !== null && one.high !== null;
    const several = this.names.length > 2;
    const other = `${several ? `${LETTERS[one.arm]} ` : ""}${plain(b)}`;
    row.root.title = `${this.names[one.arm]} against ${this.names[0]}`;
    const texts = [several ? `${one.metric}, ${LETTERS[one.arm]} − A` : one.metric, plain(a), other, signed(b - a), known ? `${signed(one.low)} to ${signed(one.high)}` : "not known yet"];
    texts.forEach((text, i) => setText(row.cells[i], text));
    setText(row.cells[6], verdict(one, known));
    const last = one.trail.at(-1)?.[0] ?? 0;
    if (last !== row.trail) {
      row.trail = last;
      row.cells[5].replaceChildren(picture(one.trail));
    }
  }

  close() {}
}

function verdict(one, known) {
  if (one.better !== null) return `✓ ${LETTERS[one.better]} is better`;
  return known ? "○ undecided" : "–";
}

/** Draw the interval over time, with a line at zero. */
function picture(trail) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ width: WIDTH, height: HEIGHT, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true", class: "crucible-trail" })) {
    svg.setAttribute(name, value);
  }
  if (!trail.length) return svg;
  const [first, last] = [trail[0][0], trail.at(-1)[0]];
  const ends = trail.slice(Math.floor(trail.length / 3)).flatMap(([, low, high]) => [low, high]);
  const most = Math.max(...ends.map(Math.abs)) || 1;
  const x = (t) => EDGE + ((WIDTH - 2 * EDGE) * (t - first)) / (last - first || 1);
  const y = (v) => HEIGHT / 2 - ((HEIGHT / 2 - EDGE) * Math.max(-1.2, Math.min(1.2, v / most)));
  const upper = trail.map(([t, , high]) => `${x(t).toFixed(1)},${y(high).toFixed(1)}`);
  const lower = trail.map(([t, low]) => `${x(t).toFixed(1)},${y(low).toFixed(1)}`).reverse();
  const band = document.createElementNS(SVG, "polygon");
  band.setAttribute("points", [...upper, ...lower].join(" "));
  const zero = document.createElementNS(SVG, "line");
  for (const [name, value] of Object.entries({ x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2 })) zero.setAttribute(name, value);
  const [, low, high] = trail.at(-1);
  const end = document.createElementNS(SVG, "line");
  for (const [name, value] of Object.entries({ x1: x(last), x2: x(last), y1: y(high), y2: y(low), class: "crucible-now" })) end.setAttribute(name, value);
  svg.append(band, zero, end);
  return svg;
}
