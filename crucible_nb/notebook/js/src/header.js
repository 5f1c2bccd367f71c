// The header: name, status and progress of each experiment, buttons and pickers.
import { choice, dropdown, element, setText } from "./dom.js";
import { LETTERS, elapsed, number } from "./format.js";

const MARKS = { running: "▶", paused: "❚❚", stopped: "■", failed: "✕", dead: "✕", archived: "▣" };
const WINDOWS = [["1min", "1 min"], ["5min", "5 min"], ["1h", "1 h"], ["all", "all"]];
const AXES = { time: "time of day", elapsed: "elapsed", step: "step" };
const SMOOTHING = [["0", "none"], ["5", "5 points"], ["15", "15 points"], ["50", "50 points"]];
const DOING = { pause: "Pausing …", resume: "Resuming …", stop: "Stopping …" };
const DONE = { pause: "paused", resume: "running", stop: "stopped" };

const isLive = (status) => status === "running" || status === "paused";

/** Pause and Stop of one arm, or of all. */
class Buttons {
  /** @param {(verb: string) => void} request @param {string} name class of the buttons, and what they are for */
  constructor(request, label = "") {
    this.pending = ""; // the verb that was clicked and is not yet done
    const click = (verb) => {
      this.pending = verb;
      request(verb);
      this.update();
    };
    this.label = label;
    this.pause = element("button", { type: "button", class: "crucible-pause", onclick: () => click(this.paused ? "resume" : "pause") }, "Pause");
    this.stop = element("button", { type: "button", class: "crucible-stop", onclick: () => click("stop") }, "Stop");
  }

  /** @param {string[]} status of the arms they are for @param {boolean} off whether they cannot be used */
  paint(status, off) {
    if (!status.some(isLive) || status.every((one) => one === DONE[this.pending])) this.pending = "";
    this.paused = status.every((one) => one !== "running");
    this.over = !status.some(isLive);
    this.off = off;
    this.update();
  }

  update() {
    const { pending } = this;
    setText(this.pause, pending && pending !== "stop" ? DOING[pending] : this.paused && !this.over ? "Resume" : "Pause");
    setText(this.stop, pending === "stop" ? DOING.stop : "Stop");
    if (this.label) {
      this.pause.setAttribute("aria-label", `${this.pause.textContent} ${this.label}`);
      this.stop.setAttribute("aria-label", `${this.stop.textContent} ${this.label}`);
    }
    this.pause.disabled = this.stop.disabled = Boolean(this.over || this.off);
  }
}

export class Header {
  /** @param {import("./view.js").View} view */
  constructor(view) {
    this.view = view;
    this.gone = false;
    this.titles = element("div", { class: "crucible-titles" });
    this.buttons = new Buttons((verb) => view.send({ kind: "do", verb }));
    this.freezer = element(
      "button",
      { type: "button", class: "crucible-freeze", "aria-pressed": "false", title: "Freeze this view; the experiment keeps running", onclick: () => view.freeze(!view.frozen) },
      "Freeze",
    );
    this.windows = this.makeWindows();
    this.metrics = element("div", { class: "crucible-list crucible-choices", role: "group", "aria-label": "Columns to draw" });
    this.picker = dropdown("Metrics", "crucible-picker", this.metrics);
    this.inputs = new Map();
    this.by = choice("by", "crucible-by", (by) => view.send({ kind: "by", by }));
    this.axis = choice("x axis", "crucible-axis", (axis) => view.send({ kind: "axis", axis }));
    this.smooth = choice("smoothing", "crucible-smooth", (points) => view.smooth(Number(points)));
    this.smooth.offer(SMOOTHING, "0");
    this.notes = element("p", { class: "crucible-said" });
    this.zoom = this.makeZoom();
    this.root = element(
      "header", {}, this.titles,
      element("div", { class: "crucible-controls" }, this.buttons.pause, this.buttons.stop, this.freezer, this.windows, this.picker, this.by.root, this.axis.root, this.smooth.root),
      this.notes,
    );
    this.lines = { stale: "", frozen: "", trouble: "", note: "" };
    this.drawn = "";
  }

  makeWindows() {
    const name = `${this.view.prefix}-window`;
    const options = WINDOWS.map(([value, text]) => {
      const input = element("input", {
        type: "radio", name, value, onchange: () => this.view.send({ kind: "window", window: value }),
      });
      return element("label", {}, input, element("span", {}, text));
    });
    return element("fieldset", { class: "crucible-windows" }, element("legend", { class: "crucible-hidden" }, "Time window"), ...options);
  }

  makeZoom() {
    const button = (text, name, act) => element("button", { type: "button", class: `crucible-tool ${name}`, onclick: act }, text);
    this.zoomed = element("span", {});
    this.spanned = element("span", {});
    this.select = button("Use for cards and tables", "crucible-select", () => this.view.selectSpan());
    this.reset = button("Reset zoom", "crucible-reset", () => this.view.charts.setZoom(null));
    this.back = button("Back to the window", "crucible-back", () => this.view.send({ kind: "span", span: [] }));
    return element("div", { class: "crucible-zoom", hidden: true }, this.zoomed, this.reset, this.select, this.spanned, this.back);
  }

  /** Say what the charts are zoomed to, and which span the cards and tables show. */
  paintZoom(zoom, span, canSelect) {
    this.zoom.hidden = !zoom && !span;
    setText(this.zoomed, zoom ? `Zoomed to ${zoom}` : "");
    setText(this.spanned, span ? `Cards and tables: ${span}` : "");
    this.zoomed.hidden = this.reset.hidden = !zoom;
    this.select.hidden = !zoom || !canSelect;
    this.spanned.hidden = this.back.hidden = !span;
  }

  paint(held) {
    const { key, status, arms } = held;
    const shape = JSON.stringify(key.titles);
    if (shape !== this.drawn) this.compose(key.titles, shape);
    const off = key.titles.every((title) => title.read);
    arms.forEach((arm, i) => this.line(i, status[i], arm.cards, key.titles[i]));
    this.buttons.paint(status, off || this.gone);
    this.over = this.buttons.over;
    for (const input of this.windows.querySelectorAll("input")) input.checked = input.value === key.window && !key.span;
    this.updateChoices(key);
    this.by.root.hidden = !key.groupings.length || key.axis === "step";
    this.by.offer([["", "all"], ...key.groupings.map((name) => [name, name])], key.by);
    const axes = Object.keys(AXES).filter((name) => name !== "step" || key.has_steps);
    this.axis.offer(axes.map((name) => [name, AXES[name]]), key.axis);
    this.setNote("note", this.over ? "" : off ? "Read-only: another process writes this experiment" : key.note);
  }

  compose(titles, shape) {
    this.drawn = shape;
    const several = titles.length > 1;
    this.parts = titles.map((title, i) => {
      const part = {
        state: element("span", { class: "crucible-state" }),
        time: element("span", { class: "crucible-time" }),
        bar: element("progress", { max: 1, "aria-label": "Progress to the sample size" }),
        count: element("span", { class: "crucible-time" }),
        buttons: several ? new Buttons((verb) => this.view.send({ kind: "do", verb, arm: i }), `${LETTERS[i]} ${title.name}`) : null,
      };
      part.bar.hidden = title.sample_size === null;
      const letter = several ? [element("span", { class: `crucible-arm crucible-arm-${i}` }, LETTERS[i])] : [];
      const chip = title.condition ? [element("span", { class: "crucible-chip" }, title.condition)] : [];
      const name = element("span", { class: "crucible-name", title: title.hypothesis ?? title.name }, title.name);
      const own = part.buttons ? [element("span", { class: "crucible-own" }, part.buttons.pause, part.buttons.stop)] : [];
      part.root = element("div", { class: "crucible-title" }, ...letter, name, ...chip, part.state, part.time, part.bar, part.count, ...own);
      return part;
    });
    setText(this.freezer, this.view.frozen ? "Unfreeze" : "Freeze");
    this.titles.replaceChildren(...this.parts.map((part) => part.root));
  }

  line(i, status, cards, title) {
    const part = this.parts[i];
    part.state.dataset.status = status;
    setText(part.state, `${MARKS[status] ?? ""} ${status}`);
    const paused = cards.paused >= 1 ? `, ${elapsed(cards.paused)} paused` : "";
    setText(part.time, `${elapsed(cards.wall)} wall, ${elapsed(cards.active)} active${paused}`);
    part.buttons?.paint([status], title.read || this.gone);
    if (title.sample_size !== null) {
      part.bar.value = Math.min(cards.progress, 1);
      const [total, planned] = [number(cards.total), number(title.sample_size)];
      setText(part.count, cards.progress > 1 ? `${total} (${planned} planned)` : `${total} of ${planned} (${Math.floor(100 * cards.progress)} %)`);
    }
  }

  /** Offer the columns; inputs stay in their places, so that none vanishes under a pressed mouse. */
  updateChoices(key) {
    this.picker.hidden = !key.columns.length;
    for (const name of key.columns) {
      if (this.inputs.has(name)) continue;
      const input = element("input", { type: "checkbox", value: name, onchange: () => this.pick() });
      this.inputs.set(name, input);
      this.metrics.append(element("label", {}, input, name));
    }
    const shape = JSON.stringify(key.picked);
    if (shape === this.chosen) return;
    this.chosen = shape;
    for (const [name, input] of this.inputs) input.checked = key.picked.includes(name);
  }

  pick() {
    const checked = [...this.inputs].filter(([, input]) => input.checked).map(([name]) => name);
    this.view.send({ kind: "pick", columns: checked });
  }

  stale(seconds, gone) {
    if (gone !== this.gone) {
      this.gone = gone;
      for (const part of [this, ...(this.parts ?? [])]) {
        if (!part.buttons) continue;
        part.buttons.off = gone;
        part.buttons.update();
      }
    }
    const silent = seconds ? `Stale: no message from the kernel for ${seconds} s` : "";
    this.setNote("stale", gone ? "Stale: the kernel of this dashboard has ended; run the cell again" : silent);
  }

  freeze(text) {
    this.freezer.setAttribute("aria-pressed", String(Boolean(text)));
    setText(this.freezer, text ? "Unfreeze" : "Freeze");
    this.setNote("frozen", text ? `View ${text}; the experiment keeps running` : "");
  }

  trouble(text) {
    this.setNote("trouble", text ? `Error: ${text}` : "");
  }

  setNote(kind, text) {
    this.lines[kind] = text;
    const notes = Object.values(this.lines).filter(Boolean).join(" · ");
    setText(this.notes, notes);
    this.notes.hidden = !notes;
  }
}

