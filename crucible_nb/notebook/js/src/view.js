// One view: lays out the parts, knows whether it is seen, paints once a frame at most.
import { Alerts, Anomalies } from "./tables.js";
import { Cards } from "./cards.js";
import { Charts } from "./charts.js";
import { Comparison } from "./compare.js";
import { element, say } from "./dom.js";
import { clock } from "./format.js";
import { Header } from "./header.js";
import { theme, watchTheme } from "./theme.js";

const STALE = 5000;
const PING = 5000;
const CALM = 1000; // between two paints where people want no motion

let counted = 0;

export class View {
  /** @param {import("./store.js").Store} store @param {HTMLElement} host */
  constructor(store, host) {
    this.store = store;
    this.id = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
    this.prefix = `crucible-${++counted}`;
    this.seen = false;
    this.frozen = false;
    this.painted = 0;
    this.shown = performance.now();
    this.announced = { status: "", known: null };
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.build(host);
    this.listen();
  }

  build(host) {
    this.root = element("section", { class: "crucible", role: "region", "aria-label": "Experiment dashboard" });
    this.header = new Header(this);
    this.cards = new Cards();
    this.charts = new Charts((label) => this.anomalies.focus(label), () => this.schedule(true));
    this.comparison = new Comparison();
    this.anomalies = new Anomalies(this.prefix, (label) => this.charts.point(label));
    this.alerts = new Alerts(this.prefix);
    this.live = element("div", { class: "crucible-hidden", role: "status", "aria-live": "polite" });
    this.empty = element("p", { class: "crucible-empty" }, "Waiting for the kernel …");
    const parts = [this.cards, this.comparison, this.charts, this.anomalies, this.alerts];
    this.root.append(this.header.root, this.empty, ...parts.map((part) => part.root), this.live);
    host.append(this.root);
    this.colors = theme(this.root);
  }

  listen() {
    const changed = () => this.schedule();
    this.store.listeners.add(changed);
    const looked = () => this.look();
    const recolour = () => requestAnimationFrame(() => this.recolour());
    this.crossing = new IntersectionObserver(([entry]) => this.look(entry.isIntersecting), { rootMargin: "80px" });
    this.crossing.observe(this.root);
    document.addEventListener("visibilitychange", looked);
    const leave = () => this.tell({ kind: "gone" });
    addEventListener("pagehide", leave);
    const unwatch = watchTheme(recolour);
    const beat = setInterval(() => this.beat(), 1000);
    this.undo = () => {
      this.store.listeners.delete(changed);
      this.crossing.disconnect();
      document.removeEventListener("visibilitychange", looked);
      removeEventListener("pagehide", leave);
      unwatch();
      clearInterval(beat);
    };
    this.pinged = performance.now();
    this.tell({ kind: "view", seen: !document.hidden, hello: true });
  }

  tell(message) {
    try {
      this.store.say({ ...message, view: this.id });
    } catch {
      this.store.gone = true; // what was drawn stays
    }
  }

  /** Whether anybody can see it has maybe changed. */
  look(inside = this.inside) {
    this.inside = inside;
    const seen = Boolean(inside) && !document.hidden;
    if (seen === this.seen) return;
    this.seen = seen;
    if (seen) {
      this.shown = performance.now();
      this.colors = theme(this.root); // only now is it where it will stay
    }
    this.tell({ kind: "view", seen, hello: seen });
    if (seen) this.schedule(true);
  }

  /** Once a second: is it stale, does the kernel know of this view. */
  beat() {
    if (this.attached && !this.root.isConnected) {
      this.close(); // the host dropped the output without a word
      return;
    }
    this.attached ||= this.root.isConnected;
    const now = performance.now();
    if (now - this.pinged >= PING) {
      this.pinged = now;
      if (this.store.live && this.seen) this.tell({ kind: "view", seen: true });
    }
    const silent = now - Math.max(this.store.heard, this.shown);
    const stale = this.seen && this.store.live && (this.store.gone || silent > STALE);
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

  /** Paint at the next frame, when somebody looks. */
  schedule(force = false) {
    this.forced ||= force;
    if (this.waiting || !this.seen || (this.frozen && !this.forced)) return;
    const rest = this.calm.matches && !this.forced ? CALM - (performance.now() - this.painted) : 0;
    this.waiting = true;
    const paint = () => requestAnimationFrame(() => this.paint());
    if (rest > 0) setTimeout(paint, rest);
    else paint();
  }

  paint() {
    this.waiting = this.forced = false;
    const { store } = this;
    this.header.trouble(store.trouble);
    if (!store.key || !this.root.isConnected) return;
    this.painted = performance.now();
    this.empty.hidden = true;
    if (!this.frozen) this.held = snapshot(store);
    const { held } = this;
    this.header.paint(held);
    this.cards.paint(held);
    this.comparison.paint(held, this.colors);
    this.anomalies.paint(held);
    this.alerts.paint(held);
    this.announce(held);
    this.root.dataset.status = store.status.join(" ");
    this.charts.paint(held, this.colors);
    this.draw();
  }

  /** Charts, those that this frame has no time for at the next one. */
  draw() {
    cancelAnimationFrame(this.frame);
    if (!this.root.isConnected) return;
    const more = this.charts.draw();
    const { shown } = this.charts;
    if (shown && String(shown.n) !== this.root.dataset.n) {
      this.root.dataset.now = shown.now;
      this.root.dataset.n = shown.n;
      this.root.dataset.points = this.charts.points;
    }
    if (more) this.frame = requestAnimationFrame(() => this.draw());
  }

  /** Say what changed, not what ticks. */
  announce(held) {
    const status = held.status.join(", ");
    const known = new Set(held.incidents.map((one) => one.label));
    const fresh = held.incidents.find((one) => this.announced.known && !this.announced.known.has(one.label));
    const before = this.announced;
    if (before.status && before.status !== status) say(this.live, `Experiment is ${status}`);
    else if (fresh) say(this.live, `Anomaly ${fresh.label}: ${fresh.reason}`);
    this.announced = { status, known };
  }

  close() {
    this.undo();
    this.charts.close();
    this.comparison.close();
    this.tell({ kind: "gone" });
    this.root.remove();
  }
}

/** What is painted; frozen views keep one while the store goes on. */
function snapshot(store) {
  return {
    key: store.key,
    n: store.n,
    status: store.status,
    incidents: [...store.incidents.values()].sort((one, two) => one.start - two.start),
    alerts: store.alerts,
    arms: store.arms.map(({ cards, bins }) => ({
      cards,
      width: bins.width,
      start: bins.start,
      columns: Object.fromEntries(Object.entries(bins.columns).map(([name, column]) => [name, column.slice()])),
    })),
  };
}
