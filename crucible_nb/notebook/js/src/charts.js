// All charts: which there are, what a person has set for them, and who is drawn when.
// Drawing is the most expensive part of a tick, so charts are queued: the one that waited longest is drawn first.
import { Chart } from "./chart.js";
import { element } from "./dom.js";
import { SETTINGS, shownRange } from "./figure.js";
import { panelOf, panelsOf } from "./panels.js";

const FRAME = 12; // ms after which the other charts wait for the next frame, so that the page stays responsive
const COLUMNS = 12; // tracks of the grid, divisible by 1, 2, 3 and 4
const [TWO, THREE] = [460, 820]; // px of the container from which two and three charts stand side by side

export class Charts {
  /** @param {(label: string) => void} picked called when a marker is clicked @param {() => void} resized called when charts have to be drawn anew */
  constructor(picked, resized) {
    this.root = element("div", { class: "crucible-charts" });
    this.charts = new Map();
    this.picked = picked;
    this.resized = resized;
    this.pointed = null;
    this.settings = { ...SETTINGS, hidden: new Set(), log: new Map() };
    this.hover = null;
    this.large = null;
    this.zoomed = () => {};
    this.due = new Set(); // ids of charts to draw, longest waiting first
    this.sizes = new ResizeObserver(() => this.arrange());
    this.sizes.observe(this.root);
  }

  /** Queue all charts for `draw`. */
  paint(held, colors) {
    const axis = `${held.key.axis} ${held.key.window}`;
    if (this.axis !== axis) {
      this.axis = axis;
      this.settings.zoom = null; // of another axis
      this.hover = null;
      this.zoomed();
    }
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
      if (!this.charts.has(id)) this.charts.set(id, new Chart(id, this));
      const { root } = this.charts.get(id);
      if (this.root.children[i] !== root) this.root.insertBefore(root, this.root.children[i] ?? null);
      this.due.add(id);
    });
    this.arrange();
  }

  /** Spread the charts over rows without holes: of four in three columns two and two. */
  arrange() {
    const width = this.root.clientWidth;
    if (!width || !this.panels) return;
    const most = width < TWO ? 1 : width < THREE ? 2 : 3;
    const small = this.panels.filter(({ id }) => id !== this.large);
    const rows = Math.ceil(small.length / most);
    const shape = `${most} ${this.large} ${this.panels.map(({ id }) => id)}`;
    if (shape === this.shape) return;
    this.shape = shape;
    this.root.dataset.columns = most;
    for (let row = 0, done = 0; row < rows; row++) {
      const count = Math.ceil((small.length - done) / (rows - row));
      for (const { id } of small.slice(done, done + count)) this.charts.get(id).root.style.gridColumn = `span ${COLUMNS / count}`;
      done += count;
    }
    if (this.charts.has(this.large)) this.charts.get(this.large).root.style.gridColumn = "1 / -1";
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
    this.charts.get(panel.id).paint(panel, this.held, this.colors, this.incidentsOf(panel), this.pointed, this.settings);
  }

  /** Number and time of the newest message that all charts show; null before. */
  get shown() {
    const drawn = [...this.charts.values()].map((chart) => chart.drawn);
    return drawn.includes(null) || !drawn.length ? null : drawn.reduce((one, two) => (two.n < one.n ? two : one));
  }

  get points() {
    return [...this.charts.values()].reduce((sum, chart) => sum + chart.points, 0);
  }

  incidentsOf(panel) {
    return this.held.incidents.filter((one) => panelOf(this.panels, one) === panel);
  }

  // -- what a person sets ---------------------------------------------------------------------------------------------

  /** Show a range of the axis in all charts, or all of it; it stays until it is reset or another window is chosen. */
  setZoom(range) {
    this.settings.zoom = range && range[1] > range[0] ? range : null;
    this.zoomed();
    this.resized();
  }

  /** Zoom around the crosshair, or the middle. */
  scale(factor) {
    const [low, high] = shownRange(this.held, this.settings);
    const center = this.hover ?? (low + high) / 2;
    this.setZoom([center - (center - low) * factor, center + (high - center) * factor]);
  }

  /** Move the crosshair by a fortieth of the range, or pan by a quarter. */
  step(pan, sign) {
    const [low, high] = shownRange(this.held, this.settings);
    const size = high - low;
    if (pan) this.setZoom([low + (sign * size) / 4, high + (sign * size) / 4]);
    else this.setHover(Math.min(Math.max((this.hover ?? (low + high) / 2) + (sign * size) / 40, low), high));
  }

  setHover(x) {
    if (x === this.hover) return;
    this.hover = x;
    for (const chart of this.charts.values()) if (chart.drawn) chart.showHover(x);
  }

  setLog(id, on) {
    this.settings.log.set(id, on);
    this.resized();
  }

  toggle(line) {
    const { hidden } = this.settings;
    if (!hidden.delete(line)) hidden.add(line);
    this.resized();
  }

  enlarge(id) {
    this.large = this.large === id ? null : id;
    for (const [other, chart] of this.charts) chart.large = other === this.large;
    this.root.toggleAttribute("data-large", this.large !== null);
    this.arrange();
    this.resized();
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
    this.sizes.disconnect();
    for (const chart of this.charts.values()) chart.close();
  }
}
