// One chart: a plotly figure with its caption, its tools, and the values under the crosshair.
import Plotly from "plotly.js-basic-dist-min";
import { numberOf, say } from "./axis.js";
import { csvOf } from "./csv.js";
import { dropdown, element, setText } from "./dom.js";
import { fileName, saveData, savePicture } from "./download.js";
import { LEFT, RIGHT, dataOf, isLog, layoutOf, lineId, shownRange, tracesOf, valuesAt } from "./figure.js";
import { linesOf } from "./panels.js";

const [LOW, HIGH, LARGE] = [168, 240, 440]; // heights in px
const CONFIG = { displayModeBar: false, responsive: false, doubleClick: false, showTips: false };

export class Chart {
  /** @param {string} id @param {import("./charts.js").Charts} owner */
  constructor(id, owner) {
    this.id = id;
    this.owner = owner;
    this.title = element("span", { class: "crucible-chart-title" });
    this.flags = element("span", { class: "crucible-flags" });
    this.log = element("button", { type: "button", class: "crucible-tool crucible-log", "aria-pressed": "false", title: "Logarithmic axis", onclick: () => owner.setLog(id, !this.isLog) }, "log");
    this.enlarger = element("button", { type: "button", class: "crucible-tool crucible-enlarge", "aria-pressed": "false", onclick: () => owner.enlarge(id) }, "⤢");
    this.menu = dropdown("⋯", "crucible-tool crucible-menu", this.makeMenu());
    this.legend = element("div", { class: "crucible-legend" });
    this.plot = element("div", { class: "crucible-plot", role: "img" });
    this.cross = element("div", { class: "crucible-cross", hidden: true });
    this.tip = element("div", { class: "crucible-tip", hidden: true, "aria-hidden": "true" });
    this.area = element("div", { class: "crucible-area", tabindex: "0", role: "group" }, this.plot, this.cross, this.tip);
    const tools = element("span", { class: "crucible-tools" }, this.log, this.enlarger, this.menu);
    const caption = element("figcaption", {}, element("div", { class: "crucible-heading" }, this.title, this.flags, tools), this.legend);
    this.root = element("figure", { class: "crucible-chart", "data-panel": id }, caption, this.area);
    this.width = 0; // cached: reading it between two drawings would force a layout each time
    this.entries = [];
    this.data = [];
    this.points = 0;
    this.drawn = null; // number and time of the message drawn
    this.listen();
  }

  makeMenu() {
    const item = (text, name, act) => element("button", { type: "button", class: `crucible-${name}`, onclick: () => { this.menu.open = false; act(); } }, text);
    const pictures = ["svg", "png"].map((kind) => item(`Picture (${kind.toUpperCase()})`, kind, () => this.save(kind)));
    return element("div", { class: "crucible-list", role: "group", "aria-label": "Download" }, ...pictures, item("Data (CSV)", "csv", () => this.saveData()));
  }

  listen() {
    this.sizes = new ResizeObserver(() => {
      if (this.area.clientWidth === this.width) return;
      this.width = this.area.clientWidth;
      this.owner.resized();
    });
    this.sizes.observe(this.area);
    this.area.addEventListener("pointermove", (event) => this.owner.setHover(this.axisAt(event.clientX)));
    this.area.addEventListener("pointerleave", () => this.owner.setHover(null));
    this.area.addEventListener("keydown", (event) => this.key(event));
    this.area.addEventListener("blur", () => this.owner.setHover(null));
  }

  /** Keys of the chart: arrows move the crosshair, with Shift they pan; + and - zoom, 0 and Escape reset. */
  key(event) {
    const acts = {
      ArrowLeft: () => this.owner.step(event.shiftKey, -1), ArrowRight: () => this.owner.step(event.shiftKey, 1),
      "+": () => this.owner.scale(0.5), "=": () => this.owner.scale(0.5), "-": () => this.owner.scale(2),
      0: () => this.owner.setZoom(null), Escape: () => this.owner.setZoom(null),
    };
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts[event.key]();
  }

  axisAt(clientX) {
    if (!this.range) return null;
    const x = clientX - this.area.getBoundingClientRect().left - LEFT;
    const pixels = this.width - LEFT - RIGHT;
    return x < 0 || x > pixels ? null : this.range[0] + ((this.range[1] - this.range[0]) * x) / pixels;
  }

  get height() {
    if (this.large) return LARGE;
    return Math.max(LOW, Math.min(HIGH, 4 * Math.round(0.11 * this.width)));
  }

  paint(panel, held, colors, incidents, pointed, settings) {
    const lines = linesOf(panel, held.arms, colors, held.key.titles);
    setText(this.title, panel.title);
    this.panel = panel;
    this.held = held;
    this.colors = colors;
    const width = (this.width ||= this.area.clientWidth) || 320;
    const { height } = this;
    this.data = dataOf(panel, lines, held, settings);
    this.isLog = isLog(panel, this.data, settings, this.isLog);
    for (const one of this.data) one.log = this.isLog;
    this.range = shownRange(held, settings);
    this.caption(panel, lines, held, incidents, settings);
    this.traces = tracesOf(panel, this.data, held, colors, incidents, pointed, width, settings);
    this.layout = layoutOf(panel, this.data, held, colors, incidents, width, height, settings, this.isLog);
    if (this.plot.style.height !== `${height}px`) this.plot.style.height = `${height}px`;
    Plotly.react(this.plot, this.traces, this.layout, this.drawn ? undefined : CONFIG); // plotly compares a config with the previous one
    if (!this.drawn) this.listenToPlot();
    this.points = this.traces.reduce((sum, trace) => sum + trace.x.length, 0);
    this.drawn = { n: held.n, now: held.arms[0].cards.now };
    this.root.dataset.n = held.n;
    this.root.dataset.now = this.drawn.now;
    this.showHover(this.owner.hover);
  }

  listenToPlot() {
    this.plot.on("plotly_click", (event) => {
      const label = event.points.find((point) => point.data.name === "anomaly")?.customdata;
      if (label) this.owner.picked(label);
    });
    this.plot.on("plotly_doubleclick", () => this.owner.setZoom(null));
    this.plot.on("plotly_relayout", (event) => {
      const range = event["xaxis.range"] ?? [event["xaxis.range[0]"], event["xaxis.range[1]"]];
      if (range[0] !== undefined) this.owner.setZoom(range.map(numberOf));
    });
  }

  /** Show names, swatches and newest values as text, also for screen readers; a press on a name hides its line. */
  caption(panel, lines, held, incidents, settings) {
    if (this.entries.length !== lines.length) {
      this.entries = lines.map((_, i) => {
        const swatch = element("i", { class: "crucible-swatch" });
        const name = element("span", {});
        const value = element("span", { class: "crucible-newest" });
        const root = element("button", { type: "button", class: "crucible-entry", onclick: () => this.owner.toggle(this.ids[i]) }, swatch, name, value);
        return { swatch, name, value, root };
      });
      this.legend.replaceChildren(...this.entries.map((one) => one.root));
    }
    this.ids = lines.map((line) => lineId(panel, line));
    lines.forEach((one, i) => {
      const entry = this.entries[i];
      const newest = held.arms[one.arm].columns[one.series]?.findLast(Number.isFinite);
      const hidden = settings.hidden.has(this.ids[i]);
      entry.swatch.style.setProperty("--swatch", one.color);
      entry.swatch.dataset.dash = one.dash;
      setText(entry.name, one.label);
      setText(entry.value, panel.format(newest ?? NaN));
      entry.root.setAttribute("aria-pressed", String(!hidden));
      entry.root.title = hidden ? "Show this line" : "Hide this line";
    });
    setText(this.flags, incidents.length ? `◆ ${incidents.length}` : "");
    this.flags.title = `${incidents.length} anomalies flagged`;
    this.log.hidden = Boolean(panel.share);
    this.log.setAttribute("aria-pressed", String(this.isLog));
    this.log.setAttribute("aria-label", `Logarithmic axis of ${panel.title}`);
    this.menu.querySelector("summary").setAttribute("aria-label", `Download ${panel.title}`);
    const large = this.large ? "Make smaller" : "Enlarge";
    this.enlarger.title = large;
    this.enlarger.setAttribute("aria-label", `${large}: ${panel.title}`);
    this.enlarger.setAttribute("aria-pressed", String(Boolean(this.large)));
    const values = this.entries.map((one) => `${one.name.textContent} ${one.value.textContent}`.trim()).join(", ");
    const flagged = incidents.length ? `; anomalies ${incidents.map((one) => one.label).join(", ")} flagged` : "";
    const label = `${panel.title}: now ${values}${flagged}`;
    if (this.plot.getAttribute("aria-label") !== label) this.plot.setAttribute("aria-label", label);
    const keys = `${panel.title}: arrow keys move the crosshair, + and - zoom, Shift and arrows pan, 0 resets`;
    if (this.area.getAttribute("aria-label") !== keys) this.area.setAttribute("aria-label", keys);
  }

  /** Show the values of all lines at a value of the axis. */
  showHover(x) {
    const inside = x !== null && this.range && x >= this.range[0] && x <= this.range[1];
    this.cross.hidden = this.tip.hidden = !inside;
    if (!inside) return;
    const at = LEFT + ((x - this.range[0]) / (this.range[1] - this.range[0])) * (this.width - LEFT - RIGHT);
    this.cross.style.left = `${at.toFixed(1)}px`;
    const rows = valuesAt(this.data, x).map(({ line, value }) => {
      const swatch = element("i", { class: "crucible-swatch", "data-dash": line.dash });
      swatch.style.setProperty("--swatch", line.color);
      return element("div", {}, swatch, `${line.label} `, element("b", {}, this.panel.format(value)));
    });
    this.tip.replaceChildren(element("div", { class: "crucible-tip-time" }, say(this.held, x)), ...rows);
    const right = at > this.width / 2;
    this.tip.style.left = right ? "auto" : `${(at + 8).toFixed(1)}px`;
    this.tip.style.right = right ? `${(this.width - at + 8).toFixed(1)}px` : "auto";
  }

  get experiment() {
    return this.held.key.titles.map((title) => title.name).join(" ");
  }

  save(kind) {
    savePicture(kind, fileName(this.experiment, this.panel.title, kind), `${this.experiment}: ${this.panel.title}`, this.traces, this.layout, this.colors);
  }

  saveData() {
    saveData(fileName(this.experiment, this.panel.title, "csv"), csvOf(this.data, this.held));
  }

  close() {
    this.sizes.disconnect();
    this.menu.open = false;
    Plotly.purge(this.plot);
  }
}
