// The charts: one plotly figure a panel, drawn anew from what is held, nothing kept in between but a person's zoom.
import Plotly from "plotly.js-basic-dist-min";
import { element, say } from "./dom.js";
import { layoutOf, tracesOf } from "./figure.js";
import { linesOf, panelOf, panelsOf } from "./panels.js";

const HEIGHT = 168;
const CONFIG = { displayModeBar: false, responsive: false, doubleClick: "reset", showTips: false };

class Chart {
  /** @param {string} id @param {(label: string) => void} picked */
  constructor(id, picked) {
    this.title = element("span", { class: "crucible-chart-title" });
    this.legend = element("span", { class: "crucible-legend" });
    this.plot = element("div", { class: "crucible-plot", role: "img" });
    const caption = element("figcaption", {}, this.title, this.legend);
    this.root = element("figure", { class: "crucible-chart", "data-panel": id }, caption, this.plot);
    this.picked = picked;
    this.entries = [];
  }

  paint(panel, held, colors, incidents, pointed) {
    const lines = linesOf(panel, held.arms, colors);
    say(this.title, panel.title);
    this.caption(panel, lines, held, incidents);
    const traces = tracesOf(panel, lines, held, colors, incidents, pointed);
    const layout = layoutOf(panel, held, colors, incidents, this.plot.clientWidth || 320, HEIGHT);
    Plotly.react(this.plot, traces, layout, CONFIG);
    if (!this.heard) {
      this.heard = true;
      this.plot.on("plotly_click", (event) => {
        const label = event.points.find((point) => point.data.name === "anomaly")?.customdata;
        if (label) this.picked(label);
      });
    }
    return traces.reduce((sum, trace) => sum + trace.x.length, 0);
  }

  /** Names, swatches and newest values in text: the chart need not be seen to be read. */
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
      say(this.entries[i].text, `${one.label} ${panel.format(newest ?? NaN)}`.trim());
    });
    say(this.flags, incidents.length ? `◆ ${incidents.length}` : "");
    this.flags.title = `${incidents.length} anomalies flagged`;
    const values = this.entries.map((one) => one.text.textContent).join(", ");
    const flagged = incidents.length ? `; anomalies ${incidents.map((one) => one.label).join(", ")} flagged` : "";
    const label = `${panel.title}: now ${values}${flagged}`;
    if (this.plot.getAttribute("aria-label") !== label) this.plot.setAttribute("aria-label", label);
  }

  close() {
    Plotly.purge(this.plot);
  }
}

export class Charts {
  /** @param {(label: string) => void} picked a marker was clicked */
  constructor(picked) {
    this.root = element("div", { class: "crucible-charts" });
    this.charts = new Map();
    this.picked = picked;
    this.pointed = null;
    this.points = 0;
  }

  paint(held, colors) {
    this.panels = panelsOf(held.key, held.arms, colors);
    this.held = held;
    this.colors = colors;
    for (const [id, chart] of this.charts) {
      if (this.panels.some((panel) => panel.id === id)) continue;
      chart.close();
      chart.root.remove();
      this.charts.delete(id);
    }
    this.points = 0;
    this.panels.forEach((panel, i) => {
      let chart = this.charts.get(panel.id);
      if (!chart) {
        chart = new Chart(panel.id, this.picked);
        this.charts.set(panel.id, chart);
      }
      if (this.root.children[i] !== chart.root) this.root.insertBefore(chart.root, this.root.children[i] ?? null);
      this.points += chart.paint(panel, held, colors, this.incidentsOf(panel), this.pointed);
    });
  }

  incidentsOf(panel) {
    return this.held.incidents.filter((one) => panelOf(this.panels, one) === panel);
  }

  /** Lead the eye to an anomaly. */
  point(label) {
    this.pointed = label;
    const incident = this.held?.incidents.find((one) => one.label === label);
    if (!incident) return;
    const panel = panelOf(this.panels, incident);
    const chart = this.charts.get(panel.id);
    chart.paint(panel, this.held, this.colors, this.incidentsOf(panel), label);
    chart.root.scrollIntoView({ block: "nearest" });
    for (const other of this.charts.values()) other.root.toggleAttribute("data-pointed", other === chart);
  }

  close() {
    for (const chart of this.charts.values()) chart.close();
  }
}
