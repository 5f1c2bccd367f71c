// The charts: one plotly figure per panel, redrawn from the data of the store; only the user's zoom is kept.
// Drawing is the most expensive part of a tick, so charts are queued: the one that waited longest is drawn first.
import Plotly from "plotly.js-basic-dist-min";
import { element, setText } from "./dom.js";
import { layoutOf, tracesOf } from "./figure.js";
import { linesOf, panelOf, panelsOf } from "./panels.js";

const HEIGHT = 168;
const FRAME = 12; // ms after which the other charts wait for the next frame, so that the page stays responsive
const CONFIG = { displayModeBar: false, responsive: false, doubleClick: "reset", showTips: false };

class Chart {
  /** @param {string} id @param {(label: string) => void} picked @param {() => void} resized */
  constructor(id, picked, resized) {
    this.title = element("span", { class: "crucible-chart-title" });
    this.legend = element("span", { class: "crucible-legend" });
    this.plot = element("div", { class: "crucible-plot", role: "img" });
    const caption = element("figcaption", {}, this.title, this.legend);
    this.root = element("figure", { class: "crucible-chart", "data-panel": id }, caption, this.plot);
    this.picked = picked;
    this.width = 0; // cached: reading it between two drawings would force a layout each time
    this.sizes = new ResizeObserver(() => {
      if (this.plot.clientWidth === this.width) return;
      this.width = this.plot.clientWidth;
      resized();
    });
    this.sizes.observe(this.plot);
    this.entries = [];
    this.points = 0;
    this.drawn = null; // number and time of the message drawn
  }

  paint(panel, held, colors, incidents, pointed) {
    const lines = linesOf(panel, held.arms, colors);
    setText(this.title, panel.title);
    this.caption(panel, lines, held, incidents);
    const width = (this.width ||= this.plot.clientWidth) || 320;
    const traces = tracesOf(panel, lines, held, colors, incidents, pointed, width);
    const layout = layoutOf(panel, held, colors, incidents, width, HEIGHT);
    Plotly.react(this.plot, traces, layout, this.drawn ? undefined : CONFIG); // plotly compares a config with the previous one
    if (!this.drawn) {
      this.plot.on("plotly_click", (event) => {
        const label = event.points.find((point) => point.data.name === "anomaly")?.customdata;
        if (label) this.picked(label);
      });
    }
    this.points = traces.reduce((sum, trace) => sum + trace.x.length, 0);
    this.drawn = { n: held.n, now: held.arms[0].cards.now };
    this.root.dataset.n = held.n;
    this.root.dataset.now = this.drawn.now;
  }

  /** Show names, swatches and newest values as text, also for screen readers. */
  caption(panel, lines, held, incidents) {
    if (this.entries.length !== lines.length) {
      this.entries = lines.map((one) => {
        const swatch = element("i", { class: "crucible-swatch", "data-dash": one.dash });
        const text = element("span", {});
        return { swatch, text, root: element("span", { class: "crucible-entry" }, swatch, text) };
      });
      this.flags = element("span", { class: "crucible-entry crucible-flags" });
      this.legend.replaceChildren(...this.entries.map((one) => one.root), this.flags);
    }
    lines.forEach((one, i) => {
      const newest = held.arms[one.arm].columns[one.series].findLast(Number.isFinite);
      this.entries[i].swatch.style.setProperty("--swatch", one.color);
      this.entries[i].swatch.dataset.dash = one.dash;
      setText(this.entries[i].text, `${one.label} ${panel.format(newest ?? NaN)}`.trim());
    });
    setText(this.flags, incidents.length ? `◆ ${incidents.length}` : "");
    this.flags.title = `${incidents.length} anomalies flagged`;
    const values = this.entries.map((one) => one.text.textContent).join(", ");
    const flagged = incidents.length ? `; anomalies ${incidents.map((one) => one.label).join(", ")} flagged` : "";
    const label = `${panel.title}: now ${values}${flagged}`;
    if (this.plot.getAttribute("aria-label") !== label) this.plot.setAttribute("aria-label", label);
  }

  close() {
    this.sizes.disconnect();
    Plotly.purge(this.plot);
  }
}

export class Charts {
  /** @param {(label: string) => void} picked called when a marker is clicked @param {() => void} resized called when a width changes */
  constructor(picked, resized) {
    this.root = element("div", { class: "crucible-charts" });
    this.charts = new Map();
    this.picked = picked;
    this.resized = resized;
    this.pointed = null;
    this.due = new Set(); // ids of charts to draw, longest waiting first
  }

  /** Queue all charts for `draw`. */
  paint(held, colors) {
    this.panels = panelsOf(held.key, held.arms, colors);
    this.held = held;
    this.colors = colors;
    for (const [id, chart] of this.charts) {
      if (this.panels.some((panel) => panel.id === id)) continue;
      chart.close();
      chart.root.remove();
      this.charts.delete(id);
      this.due.delete(id);
    }
    this.panels.forEach(({ id }, i) => {
      if (!this.charts.has(id)) this.charts.set(id, new Chart(id, this.picked, this.resized));
      const { root } = this.charts.get(id);
      if (this.root.children[i] !== root) this.root.insertBefore(root, this.root.children[i] ?? null);
      this.due.add(id);
    });
  }

  /** Draw queued charts, at least one; return whether some are left. */
  draw() {
    const end = performance.now() + FRAME;
    for (const id of this.due) {
      this.due.delete(id);
      this.drawOne(this.panels.find((panel) => panel.id === id));
      if (performance.now() >= end) break;
    }
    return this.due.size > 0;
  }

  drawOne(panel) {
    this.charts.get(panel.id).paint(panel, this.held, this.colors, this.incidentsOf(panel), this.pointed);
  }

  /** Number and time of the newest message that all charts show; null before. */
  get shown() {
    const drawn = [...this.charts.values()].map((chart) => chart.drawn);
    return drawn.includes(null) ? null : drawn.reduce((one, two) => (two.n < one.n ? two : one));
  }

  get points() {
    return [...this.charts.values()].reduce((sum, chart) => sum + chart.points, 0);
  }

  incidentsOf(panel) {
    return this.held.incidents.filter((one) => panelOf(this.panels, one) === panel);
  }

  /** Highlight an anomaly and scroll to its chart. */
  point(label) {
    this.pointed = label;
    const incident = this.held?.incidents.find((one) => one.label === label);
    if (!incident) return;
    const panel = panelOf(this.panels, incident);
    this.drawOne(panel);
    const chart = this.charts.get(panel.id);
    chart.root.scrollIntoView({ block: "nearest" });
    for (const other of this.charts.values()) other.root.toggleAttribute("data-pointed", other === chart);
  }

  close() {
    for (const chart of this.charts.values()) chart.close();
  }
}
