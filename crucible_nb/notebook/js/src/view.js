// One view: builds the parts, tracks whether it is visible, paints at most once per frame.
import { Alerts, Anomalies } from "./tables.js";
import { Cards } from "./cards.js";
import { Charts } from "./charts.js";
import { Comparison } from "./compare.js";
import { element, setText } from "./dom.js";
import { clock } from "./format.js";
import { axisOf, inverseOf, say } from "./axis.js";
import { Header } from "./header.js";
import { Lists } from "./lists.js";
import { Press } from "./press.js";
import { theme, watchTheme } from "./theme.js";

const STALE = 5000; // ms without a message after which a view is stale
const PING_INTERVAL = 5000; // ms between two messages to the kernel
const REDUCED_MOTION_INTERVAL = 1000; // ms between two paints if the user prefers reduced motion

let viewCount = 0;

export class View {
  /** @param {import("./store.js").Store} store @param {HTMLElement} host */
  constructor(store, host) {
    this.store = store;
    this.id = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
    this.prefix = `crucible-${++viewCount}`;
    this.visible = false;
    this.frozen = false;
    this.painted = 0;
    this.shown = performance.now();
    this.announced = { status: "", known: null };
    this.reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
    this.build(host);
    this.listen();
  }

  build(host) {
    this.root = element("section", { class: "crucible-live", role: "region", "aria-label": "Experiment dashboard" });
    this.header = new Header(this);
    this.cards = new Cards();
    this.cards.row.append(this.header.zoom);
    this.charts = new Charts((label) => this.anomalies.focus(label), () => this.schedule(true));
    this.comparison = new Comparison();
    this.charts.zoomed = () => this.paintZoom();
    this.lists = new Lists((arm, trace) => this.send({ kind: "trace", arm, trace }));
    this.anomalies = new Anomalies(this.prefix, (label) => this.charts.point(label));
    this.alerts = new Alerts(this.prefix);
    this.live = element("div", { class: "crucible-hidden", role: "status", "aria-live": "polite" });
    this.empty = element("p", { class: "crucible-empty" }, "Waiting for the kernel …");
    const parts = [this.cards, this.comparison, this.charts, this.lists, this.anomalies, this.alerts];
    this.root.append(this.header.root, this.empty, ...parts.map((part) => part.root), this.live);
    host.append(this.root);
    this.colors = theme(this.root);
  }

  listen() {
    const changed = () => this.schedule();
    this.store.listeners.add(changed);
    const updateVisibility = () => this.updateVisibility();
    const recolour = () => requestAnimationFrame(() => this.recolour());
    this.crossing = new IntersectionObserver(([entry]) => this.updateVisibility(entry.isIntersecting), { rootMargin: "80px" });
    this.crossing.observe(this.root);
    document.addEventListener("visibilitychange", updateVisibility);
    const leave = () => this.send({ kind: "gone" });
    addEventListener("pagehide", leave);
    const unwatch = watchTheme(recolour);
    const heartbeat = setInterval(() => this.heartbeat(), 1000);
    this.undo = () => {
      this.store.listeners.delete(changed);
      this.crossing.disconnect();
      document.removeEventListener("visibilitychange", updateVisibility);
      removeEventListener("pagehide", leave);
      unwatch();
      clearInterval(heartbeat);
    };
    this.press = new Press(this.root, () => this.schedule(true));
    this.pinged = performance.now();
    this.send({ kind: "view", seen: !document.hidden, hello: true });
  }

  send(message) {
    try {
      this.store.send({ ...message, view: this.id });
    } catch {
      this.store.gone = true; // the drawn charts stay
    }
  }

  /** Tell the kernel if the view became visible or hidden. */
  updateVisibility(inside = this.inside) {
    this.inside = inside;
    const visible = Boolean(inside) && !document.hidden;
    if (visible === this.visible) return;
    this.visible = visible;
    if (visible) {
      this.shown = performance.now();
      this.colors = theme(this.root); // only now is it in its final place
    }
    this.send({ kind: "view", seen: visible, hello: visible });
    if (visible) this.schedule(true);
  }

  /** Once per second: check for staleness and keep the view registered with the kernel. */
  heartbeat() {
    if (this.attached && !this.root.isConnected) {
      this.close(); // the host page removed the output without notice
      return;
    }
    this.attached ||= this.root.isConnected;
    const now = performance.now();
    if (now - this.pinged >= PING_INTERVAL) {
      this.pinged = now;
      if (this.store.live && this.visible) this.send({ kind: "view", seen: true });
    }
    const silent = now - Math.max(this.store.receivedAt, this.shown);
    const stale = this.visible && this.store.live && (this.store.gone || silent > STALE);
    this.root.toggleAttribute("data-stale", stale);
    this.header.stale(stale ? Math.floor(silent / 1000) : 0, stale && this.store.gone);
  }

  recolour() {
    this.colors = theme(this.root);
    this.schedule(true);
  }

  freeze(on) {
    this.frozen = on;
    this.root.toggleAttribute("data-frozen", on);
    this.header.freeze(on ? `frozen at ${clock(Date.now())}` : "");
    if (!on) this.schedule(true);
  }

  /** Paint at the next frame if the view is visible. */
  schedule(force = false) {
    this.forced ||= force;
    if (this.press?.held) return; // the release schedules a paint
    if (this.waiting || !this.visible || (this.frozen && !this.forced)) return;
    const delay = this.reducedMotion.matches && !this.forced ? REDUCED_MOTION_INTERVAL - (performance.now() - this.painted) : 0;
    this.waiting = true;
    const paint = () => requestAnimationFrame(() => this.paint());
    if (delay > 0) setTimeout(paint, delay);
    else paint();
  }

  paint() {
    this.waiting = this.forced = false;
    if (this.press.held) return;
    const { store } = this;
    this.header.trouble(store.trouble);
    if (!store.key || !this.root.isConnected) return;
    this.painted = performance.now();
    this.empty.hidden = true;
    if (!this.frozen) this.held = snapshot(store);
    const { held } = this;
    held.span = held.key.span && this.sayRange(held.key.span[0].map((ms) => this.axisValue(ms)));
    this.header.paint(held);
    this.cards.paint(held);
    this.lists.paint(held);
    this.paintZoom();
    this.comparison.paint(held, this.colors);
    this.anomalies.paint(held);
    this.alerts.paint(held);
    this.announce(held);
    this.root.dataset.status = store.status.join(" ");
    this.charts.paint(held, this.colors);
    this.draw();
  }

  // -- zoom and span --------------------------------------------------------------------------------------------------

  axisValue(ms) {
    return axisOf(this.held)(this.held.arms[0])(ms);
  }

  sayRange([low, high]) {
    return `${say(this.held, low)} to ${say(this.held, high)}`;
  }

  paintZoom() {
    if (!this.held) return;
    const { zoom } = this.charts.settings;
    this.root.toggleAttribute("data-zoomed", Boolean(zoom));
    this.header.paintZoom(zoom && this.sayRange(zoom), this.held.span, this.held.key.axis !== "step");
  }

  /** Show the zoomed span in the cards and tables. */
  selectSpan() {
    const { zoom } = this.charts.settings;
    if (!zoom) return;
    const span = this.held.arms.map((arm) => zoom.map((x) => inverseOf(this.held, arm)(x)));
    this.send({ kind: "span", span });
  }

  smooth(points) {
    this.charts.settings.smooth = points;
    this.schedule(true);
  }

  /** Draw charts; those that do not fit into this frame are drawn at the next one. */
  draw() {
    cancelAnimationFrame(this.frame);
    if (!this.root.isConnected || this.press.held) return;
    const more = this.charts.draw();
    const { shown } = this.charts;
    if (shown && String(shown.n) !== this.root.dataset.n) {
      this.root.dataset.now = shown.now;
      this.root.dataset.n = shown.n;
      this.root.dataset.points = this.charts.points;
    }
    if (more) this.frame = requestAnimationFrame(() => this.draw());
  }

  /** Announce a new status or anomaly to screen readers. */
  announce(held) {
    const status = held.status.join(", ");
    const known = new Set(held.incidents.map((one) => one.label));
    const fresh = held.incidents.find((one) => this.announced.known && !this.announced.known.has(one.label));
    const before = this.announced;
    if (before.status && before.status !== status) setText(this.live, `Experiment is ${status}`);
    else if (fresh) setText(this.live, `Anomaly ${fresh.label}: ${fresh.reason}`);
    this.announced = { status, known };
  }

  close() {
    this.undo();
    this.press.close();
    this.charts.close();
    this.comparison.close();
    this.send({ kind: "gone" });
    this.root.remove();
  }
}

/** A copy of the state to paint; a frozen view keeps one while the store is updated. */
function snapshot(store) {
  return {
    key: store.key,
    n: store.n,
    status: store.status,
    incidents: [...store.incidents.values()].sort((one, two) => one.start - two.start),
    alerts: store.alerts,
    tables: store.tables,
    trace: store.trace,
    arms: store.arms.map(({ cards, bins }) => ({
      cards,
      width: bins.width,
      start: bins.start,
      columns: Object.fromEntries(Object.entries(bins.columns).map(([name, column]) => [name, column.slice()])),
    })),
  };
}
