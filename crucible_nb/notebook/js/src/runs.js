// The interactive table of `cr.experiments()`: sort, filter, and select two runs to compare.
import { element, setText } from "./dom.js";
import { clock, elapsed, number } from "./format.js";
import { theme, watchTheme } from "./theme.js";

const PAGE = 100; // rows shown before "Show more"
const SVG = "http://www.w3.org/2000/svg";
const COMPARISON = /^(.+?)(<=|>=|!=|=|<|>)(.+)$/;

/** Whether a run fits all words of a filter: `lr>0.1`, `status=stopped`, or a part of any text. */
export function fits(run, words) {
  return words.every((word) => {
    const found = word.match(COMPARISON);
    if (!found) return run.texts.some((text) => text.includes(word.toLowerCase()));
    const [, name, sign, wanted] = found;
    const value = run.values[name];
    if (value === undefined || value === null) return false;
    const [one, two] = [Number(value), Number(wanted)];
    if (Number.isFinite(one) && Number.isFinite(two) && typeof value !== "string") {
      return { "<": one < two, ">": one > two, "<=": one <= two, ">=": one >= two, "=": one === two, "!=": one !== two }[sign];
    }
    const same = String(value).toLowerCase() === wanted.toLowerCase();
    return sign === "=" ? same : sign === "!=" ? !same : false;
  });
}

/** Order of two values: numbers by size, texts by letter, missing ones last in either direction. */
export function order(one, two, down) {
  const missing = [one, two].map((value) => value === null || value === undefined || value === "");
  if (missing[0] || missing[1]) return missing[0] - missing[1];
  const sign = down ? -1 : 1;
  return sign * (typeof one === "number" && typeof two === "number" ? one - two : String(one).localeCompare(String(two)));
}

/** A small line of a metric over time. */
function line(values, label) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ width: 90, height: 22, viewBox: "0 0 90 22", role: "img", "aria-label": label })) svg.setAttribute(name, value);
  const known = values.map((y, i) => [i, y]).filter(([, y]) => Number.isFinite(y) && y !== null);
  if (known.length < 2) return svg;
  const [low, high] = [Math.min(...known.map(([, y]) => y)), Math.max(...known.map(([, y]) => y))];
  const points = known.map(([i, y]) => `${(2 + (86 * i) / (values.length - 1)).toFixed(1)},${(20 - (18 * (y - low)) / (high - low || 1)).toFixed(1)}`);
  const drawn = document.createElementNS(SVG, "polyline");
  for (const [name, value] of Object.entries({ points: points.join(" "), fill: "none", stroke: "currentColor", "stroke-width": 1.3 })) drawn.setAttribute(name, value);
  svg.append(drawn);
  return svg;
}

const FORMATS = { started: (ms) => `${new Date(ms).toISOString().slice(0, 10)} ${clock(ms)}`, duration: elapsed };

function shown(value, name) {
  if (value === null || value === undefined) return "–";
  if (FORMATS[name]) return FORMATS[name](value);
  return typeof value === "number" ? number(value) : typeof value === "object" ? JSON.stringify(value) : String(value);
}

class Table {
  constructor(model, host) {
    this.model = model;
    this.sort = { name: null, down: false };
    this.picked = new Set();
    this.most = PAGE;
    this.filter = element("input", { type: "search", placeholder: "filter: words, lr>0.1, status=stopped", "aria-label": "Filter the runs", oninput: () => this.paint() });
    this.said = element("span", { role: "status" });
    this.compare = element("button", { type: "button", disabled: true, onclick: () => this.ask() }, "Compare two");
    this.more = element("button", { type: "button", onclick: () => { this.most += 5 * PAGE; this.paint(); } }, "Show more");
    this.head = element("tr", {});
    this.body = element("tbody", {});
    const table = element("table", { "aria-label": "Runs" }, element("thead", {}, this.head), this.body);
    this.result = element("div", { class: "crucible-runs-result" });
    const bar = element("div", { class: "crucible-runs-bar" }, this.filter, this.compare, this.said);
    this.root = element("section", { class: "crucible-runs", role: "region", "aria-label": "Runs" }, bar, element("div", { class: "crucible-runs-scroll", tabindex: "0", role: "group", "aria-label": "Table of runs" }, table), this.more, this.result);
    host.append(this.root);
    theme(this.root);
    this.unwatch = watchTheme(() => theme(this.root));
  }

  take(message) {
    if (message.kind === "rows") {
      this.columns = message.columns;
      this.runs = message.runs.map((run) => ({ ...run, texts: Object.values(run.values).filter((one) => one !== null).map((one) => String(typeof one === "object" ? JSON.stringify(one) : one).toLowerCase()) }));
      this.compose();
      this.paint();
    }
    if (message.kind === "compared") {
      this.result.innerHTML = message.html; // made by the kernel of escaped texts, without scripts
      this.compare.disabled = this.picked.size !== 2;
    }
  }

  compose() {
    const heads = this.columns.map((name) => {
      const button = element("button", { type: "button", onclick: () => this.sortBy(name) }, name);
      return element("th", { scope: "col", "data-column": name }, button);
    });
    this.head.replaceChildren(element("td", {}), ...heads.slice(0, 2), element("td", {}), ...heads.slice(2));
  }

  sortBy(name) {
    const down = this.sort.name === name ? !this.sort.down : false;
    this.sort = { name, down };
    this.paint();
  }

  paint() {
    const words = this.filter.value.trim().split(/\s+/).filter(Boolean);
    const { name, down } = this.sort;
    let runs = this.runs.filter((run) => fits(run, words));
    if (name) runs = runs.toSorted((one, two) => order(one.values[name], two.values[name], down));
    for (const head of this.head.querySelectorAll("th")) {
      if (head.dataset.column === name) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    this.body.replaceChildren(...runs.slice(0, this.most).map((run) => this.row(run)));
    this.more.hidden = runs.length <= this.most;
    setText(this.said, `${Math.min(runs.length, this.most).toLocaleString("en")} of ${this.runs.length.toLocaleString("en")} runs`);
  }

  row(run) {
    run.root ??= this.makeRow(run);
    return run.root;
  }

  makeRow(run) {
    const box = element("input", { type: "checkbox", "aria-label": `Select ${run.values.name}`, onchange: () => this.select(run, box) });
    const cell = (name) => element("td", { title: shown(run.values[name], name), class: typeof run.values[name] === "number" ? "crucible-number" : "" }, shown(run.values[name], name));
    const [first, second, ...rest] = this.columns;
    const picture = element("td", { title: run.main }, run.line.length ? line(run.line, `${run.main} over time`) : "");
    return element("tr", { "data-id": run.id }, element("td", {}, box), cell(first), cell(second), picture, ...rest.map(cell));
  }

  select(run, box) {
    if (box.checked) this.picked.add(run.id);
    else this.picked.delete(run.id);
    this.compare.disabled = this.picked.size !== 2;
  }

  ask() {
    this.compare.disabled = true;
    setText(this.result, "Comparing …");
    this.model.send({ kind: "compare", ids: this.runs.filter((run) => this.picked.has(run.id)).map((run) => run.id) });
  }

  close() {
    this.unwatch();
    this.root.remove();
  }
}

export default {
  render({ model, el }) {
    const table = new Table(model, el);
    const take = (message) => table.take(message);
    model.on("msg:custom", take);
    model.send({ kind: "rows" });
    return () => {
      model.off("msg:custom", take);
      table.close();
    };
  },
};
