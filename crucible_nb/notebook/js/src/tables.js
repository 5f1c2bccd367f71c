// The table of anomalies and the list of alerts; the number of an anomaly links to its chart.
import { element, setText } from "./dom.js";
import { clock, count } from "./format.js";

const MARKS = { low: "○", medium: "◔", high: "◑", critical: "●" };

export class Anomalies {
  /** @param {string} prefix @param {(label: string) => void} show */
  constructor(prefix, show) {
    this.prefix = prefix;
    this.show = show;
    this.title = element("summary", {});
    this.none = element("p", { class: "crucible-none" });
    const heads = ["No.", "Time", "Severity", "Metric", "Events", "Reason"].map((text) => element("th", { scope: "col" }, text));
    this.body = element("tbody", {});
    this.table = element("table", { "aria-label": "Anomalies" }, element("thead", {}, element("tr", {}, ...heads)), this.body);
    this.scroll = element("div", { class: "crucible-scroll", tabindex: "0", role: "group", "aria-label": "Anomalies, newest first" }, this.table);
    this.root = element("details", { class: "crucible-anomalies", open: true }, this.title, this.none, this.scroll);
    this.rows = new Map();
  }

  paint({ key, incidents, arms }) {
    const total = arms.reduce((sum, arm) => sum + arm.cards.incidents, 0);
    const cut = total > incidents.length ? `, the newest ${incidents.length} here, all in exp.anomalies()` : "";
    setText(this.title, `Anomalies (${count(total)}${cut})`);
    const detecting = key.titles.some((title) => title.detectors);
    setText(this.none, detecting ? "None so far." : "No detector is on: start(..., anomaly=\"auto\") switches one on.");
    this.none.hidden = incidents.length > 0;
    this.scroll.hidden = incidents.length === 0;
    for (const [label, row] of this.rows) if (!incidents.some((one) => one.label === label)) this.forget(label, row);
    for (const one of incidents) this.put(one);
  }

  forget(label, row) {
    row.root.remove();
    this.rows.delete(label);
  }

  put(one) {
    let row = this.rows.get(one.label);
    if (!row) {
      const cells = Array.from({ length: 5 }, () => element("td", {}));
      const label = `Show anomaly ${one.label} in its chart`;
      const button = element("button", { type: "button", class: "crucible-flag", "aria-label": label, onclick: () => this.pick(one.label) }, `◆ ${one.label}`);
      const root = element("tr", { id: `${this.prefix}-anomaly-${one.label}`, "data-label": one.label }, element("td", {}, button), ...cells);
      row = { root, cells, button };
      this.rows.set(one.label, row);
      this.body.prepend(root);
    }
    const severity = `${MARKS[one.severity] ?? ""} ${one.severity}`;
    const texts = [clock(one.start), severity, one.metrics.join(", "), count(one.count), one.reason];
    texts.forEach((text, i) => setText(row.cells[i], text));
    row.cells[0].title = new Date(one.start).toISOString();
  }

  pick(label) {
    this.mark(label);
    this.show(label);
  }

  mark(label) {
    for (const [other, row] of this.rows) row.root.toggleAttribute("data-picked", other === label);
  }

  /** Select the row of an anomaly and focus it, after a click on its marker. */
  focus(label) {
    this.root.open = true;
    this.mark(label);
    const row = this.rows.get(label);
    row?.root.scrollIntoView({ block: "nearest" });
    row?.button.focus({ preventScroll: true });
  }
}

export class Alerts {
  constructor(prefix) {
    this.title = element("summary", {});
    this.list = element("ul", { id: `${prefix}-alerts` });
    this.root = element("details", { class: "crucible-alerts", open: true, hidden: true }, this.title, this.list);
    this.drawn = -1;
  }

  paint({ alerts }) {
    this.root.hidden = !alerts.length;
    const last = alerts.at(-1)?.time ?? 0;
    if (alerts.length + last === this.drawn) return;
    this.drawn = alerts.length + last;
    setText(this.title, `Alerts (${count(alerts.length)})`);
    const items = alerts.slice(-20).reverse().map((one) => {
      const did = one.action === "alert" || one.action === "flag" ? "" : ` → ${one.action}`;
      return element("li", {}, element("span", { class: "crucible-time" }, clock(one.time)), ` ▲ ${one.letter} ${one.kind}: ${one.reason}${did}`);
    });
    this.list.replaceChildren(...items);
  }
}
