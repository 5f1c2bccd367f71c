// Classes of errors, and the slowest and dearest events of the window; each row can be copied.
import { element, setText } from "./dom.js";
import { LETTERS, clock, count, dollars, number, percent } from "./format.js";

const RANKED = [["slowest", "Slowest events", (x) => `${number(x)} ms`], ["dearest", "Dearest events", dollars]];

/** Make these the children of an element; those that are already there are not moved without need. */
function place(parent, children) {
  for (const child of [...parent.children]) if (!children.includes(child)) child.remove();
  children.forEach((child, i) => {
    if (parent.children[i] !== child) parent.insertBefore(child, parent.children[i] ?? null);
  });
}

export class Lists {
  /** @param {(arm: number, trace: string) => void} ask asks for a trace, which comes with a later `paint` */
  constructor(ask) {
    this.ask = ask;
    this.errors = this.makeTable("Errors", ["Class", "Events", "Share of failures"], "crucible-errors");
    this.ranked = RANKED.map(([name, title, format]) => ({ name, format, ...this.makeTable(title, ["Time", title.startsWith("Slow") ? "Latency" : "Cost", "Event", "Id"], `crucible-${name}`) }));
    this.tree = element("div", { class: "crucible-tree", tabindex: "0", role: "group", "aria-label": "Trace" });
    this.trace = element("details", { class: "crucible-listed crucible-trace", open: true, hidden: true }, element("summary", {}, "Trace"), this.tree);
    this.root = element("div", { class: "crucible-lists" }, this.errors.root, ...this.ranked.map((one) => one.root), this.trace);
    this.rows = new Map(); // by list, and by row as text
    this.drawn = null;
  }

  makeTable(title, heads, name) {
    const body = element("tbody", {});
    const cells = heads.map((text) => (text ? element("th", { scope: "col" }, text) : element("td", {})));
    const table = element("table", { "aria-label": title }, element("thead", {}, element("tr", {}, ...cells)), body);
    const scroll = element("div", { class: "crucible-scroll", tabindex: "0", role: "group", "aria-label": title }, table);
    return { body, root: element("details", { class: `crucible-listed ${name}`, open: true, hidden: true }, element("summary", {}, title), scroll) };
  }

  paint({ tables, trace }) {
    this.paintTrace(trace);
    if (!tables || tables === this.drawn) return;
    this.drawn = tables;
    const several = tables.length > 1;
    const letter = (arm) => (several ? [element("span", { class: `crucible-arm crucible-arm-${arm}` }, LETTERS[arm])] : []);
    this.paintErrors(tables, letter);
    for (const one of this.ranked) this.paintRanked(one, tables, letter);
  }

  paintTrace(trace) {
    if (!trace || trace === this.shown) return;
    this.shown = trace;
    this.tree.innerHTML = trace.html; // made by the kernel of escaped texts, without scripts
    this.trace.hidden = false;
    this.trace.open = true;
    this.trace.scrollIntoView({ block: "nearest" });
  }

  paintErrors(tables, letter) {
    const rows = tables.flatMap((arm, i) => {
      const total = arm.errors.reduce((sum, [, events]) => sum + events, 0);
      return arm.errors.map(([name, events]) => element("tr", {}, element("td", {}, ...letter(i), name), element("td", {}, count(events)), element("td", {}, percent(events / total))));
    });
    this.errors.root.hidden = !rows.length;
    this.errors.body.replaceChildren(...rows);
  }

  paintRanked({ name, format, body, root }, tables, letter) {
    const rows = tables.flatMap((arm, i) => arm[name].map((row) => ({ ...row, arm: i })));
    rows.sort((one, two) => two.value - one.value);
    root.hidden = !rows.length;
    const kept = this.rows.get(name) ?? new Map(); // a row that stays is the same element
    const shown = new Map(rows.slice(0, 12).map((row) => [JSON.stringify(row), row]));
    this.rows.set(name, new Map([...shown].map(([key, row]) => [key, kept.get(key) ?? this.row(row, format, letter)])));
    place(body, [...this.rows.get(name).values()]);
  }

  row(row, format, letter) {
    const id = Object.values(row.ids)[0] ?? `seq ${row.seq}`;
    const what = [row.texts.event, row.texts.model, row.texts.error].filter(Boolean).join(" · ");
    const copy = element("button", { type: "button", class: "crucible-tool crucible-copy", "aria-label": `Copy the row of ${id}`, onclick: () => this.copy(copy, row) }, "copy");
    const trace = row.trace && [element("button", { type: "button", class: "crucible-tool crucible-copy", "aria-label": `Show the trace of ${id}`, onclick: () => this.ask(row.arm, row.trace) }, "trace")];
    const cells = [element("td", {}, clock(row.time)), element("td", {}, ...letter(row.arm), format(row.value)), element("td", {}, element("span", { class: "crucible-what", title: what }, what || "–")), element("td", {}, element("span", { class: "crucible-id" }, id), ...(trace || []), copy)];
    return element("tr", {}, ...cells);
  }

  async copy(button, { value, time, seq, texts, ids, trace }) {
    const text = JSON.stringify({ time: new Date(time).toISOString(), value, seq, ...texts, ...ids, ...(trace ? { trace_id: trace } : {}) });
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = element("textarea", { class: "crucible-hidden" }, text); // pages without a permission for the clipboard
      button.after(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    setText(button, "done");
    button.title = "Copied";
    setTimeout(() => setText(button, "copy"), 1500);
  }
}
