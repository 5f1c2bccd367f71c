// The state of the browser: only what the kernel sent. After a missed message it waits for a keyframe.
import { LETTERS } from "./format.js";
import { decode, VERSION } from "./wire.js";

const REQUEST_INTERVAL = 1000; // ms between two requests of a keyframe

/** The bins of one arm as columns, from bin `start` on. */
class Bins {
  constructor(arm, series) {
    this.width = arm.width;
    this.start = arm.first;
    this.columns = Object.fromEntries(series.map((name) => [name, []]));
  }

  get length() {
    const [first] = Object.values(this.columns);
    return first ? first.length : 0;
  }

  /** Write rows from bin `arm.first` on; drop bins before `arm.base`. */
  put(arm, rows, series) {
    const at = arm.first - this.start;
    const count = rows.length / series.length;
    series.forEach((name, s) => {
      const column = this.columns[name];
      while (column.length < at) column.push(NaN);
      for (let i = 0; i < count; i++) column[at + i] = rows[i * series.length + s];
    });
    const old = Math.min(arm.base - this.start, this.length);
    if (old > 0) {
      for (const name of series) this.columns[name].splice(0, old);
      this.start += old;
    }
  }
}

export class Store {
  /** @param {(message: object) => void} send sends a message to the kernel */
  constructor(send) {
    this.send = send;
    this.key = null;
    this.n = 0;
    this.status = [];
    this.arms = [];
    this.incidents = new Map();
    this.alerts = [];
    this.tables = null;
    this.trace = null; // that was asked for last
    this.trouble = "";
    this.receivedAt = 0;
    this.gone = false; // whether the kernel has ended
    this.requestedAt = -REQUEST_INTERVAL;
    this.listeners = new Set();
  }

  /** @param {object} message @param {DataView[]} buffers */
  take(message, buffers) {
    this.receivedAt = performance.now();
    this.gone = false;
    if (message.kind === "trouble") this.trouble = message.text;
    else if (message.kind === "tables") this.tables = message.arms;
    else if (message.kind === "trace") this.trace = message;
    else if (message.kind === "key") this.takeKey(message, buffers);
    else if (message.kind === "tick") this.takeTick(message, buffers);
    for (const notify of this.listeners) notify();
  }

  takeKey(message, buffers) {
    if (message.version !== VERSION) {
      this.trouble = "The page and the kernel have different versions: reload the page.";
      return;
    }
    this.key = message;
    this.trouble = "";
    this.arms = message.arms.map((arm) => ({ cards: {}, bins: new Bins(arm, message.series) }));
    this.incidents = new Map();
    this.alerts = [];
    this.put(message, buffers);
  }

  takeTick(message, buffers) {
    const fits = this.key && message.n === this.n + 1;
    if (!fits || message.arms.some((arm, i) => arm.width !== this.arms[i].bins.width)) {
      this.requestKeyframe();
      return;
    }
    this.trouble = "";
    this.put(message, buffers);
  }

  put(message, buffers) {
    const { cards, series } = this.key;
    for (const one of message.incidents ?? []) this.incidents.set(this.letter(one) + one.id, { ...one, label: this.letter(one) + one.id });
    this.alerts = this.alerts.concat((message.alerts ?? []).map((one) => ({ ...one, letter: this.letter(one) })));
    message.arms.forEach((arm, i) => {
      const read = decode(buffers[i], cards, series.length);
      this.arms[i].cards = read.cards;
      this.arms[i].bins.put(arm, read.rows, series);
    });
    this.n = message.n;
    this.status = message.status;
  }

  /** The letter of an arm, "" with one. */
  letter(one) {
    return this.arms.length > 1 ? LETTERS[one.arm] : "";
  }

  /** Request a keyframe, at most once per second. */
  requestKeyframe() {
    const now = performance.now();
    if (now - this.requestedAt < REQUEST_INTERVAL) return;
    this.requestedAt = now;
    this.send({ kind: "view", hello: true });
  }

  /** Whether an experiment is running or paused. */
  get live() {
    return this.status.some((one) => one === "running" || one === "paused");
  }
}
