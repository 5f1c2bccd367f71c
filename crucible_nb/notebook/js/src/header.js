// The header: name, status and progress of each experiment, buttons and pickers.
import { element, setText } from "./dom.js";
import { elapsed, number } from "./format.js";

const MARKS = { running: "▶", paused: "❚❚", stopped: "■", failed: "✕", dead: "✕", archived: "▣" };
const WINDOWS = [["1min", "1 min"], ["5min", "5 min"], ["1h", "1 h"], ["all", "all"]];
const LETTERS = ["A", "B"];

export class Header {
  /** @param {import("./view.js").View} view */
  constructor(view) {
    this.view = view;
    this.pending = ""; // the verb that was clicked and is not yet done
    this.gone = false;
    this.titles = element("div", { class: "crucible-titles" });
    this.pause = element("button", { type: "button", class: "crucible-pause", onclick: () => this.toggle() }, "Pause");
    this.stop = element("button", { type: "button", class: "crucible-stop", onclick: () => this.request("stop") }, "Stop");
    this.freezer = element(
      "button",
      { type: "button", class: "crucible-freeze", "aria-pressed": "false", title: "Freeze this view; the experiment keeps running", onclick: () => view.freeze(!view.frozen) },
      "Freeze",
    );
    this.windows = this.makeWindows();
    this.metrics = element("div", { class: "crucible-choices", role: "group", "aria-label": "Columns to draw" });
    this.picker = element("details", { class: "crucible-picker" }, element("summary", {}, "Metrics"), this.metrics);
    this.picker.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.picker.open = false;
      this.picker.querySelector("summary").focus();
    });
    this.picker.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !this.picker.contains(event.relatedTarget)) this.picker.open = false;
    });
    this.notes = element("p", { class: "crucible-said" });
    this.root = element(
      "header",
      {},
      this.titles,
      element("div", { class: "crucible-controls" }, this.pause, this.stop, this.freezer, this.windows, this.picker),
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

  toggle() {
    this.request(this.paused ? "resume" : "pause");
  }

  request(verb) {
    this.pending = verb;
    this.view.send({ kind: "do", verb });
    this.updateButtons();
  }

  paint(held) {
    const { key, status, arms } = held;
    const shape = JSON.stringify(key.titles);
    if (shape !== this.drawn) this.compose(key.titles, shape);
    arms.forEach((arm, i) => this.line(i, status[i], arm.cards, key.titles[i]));
    const done = { pause: "paused", resume: "running", stop: "stopped" }[this.pending];
    if (!status.some((one) => one === "running" || one === "paused") || status.every((one) => one === done)) this.pending = "";
    this.paused = status.every((one) => one !== "running");
    this.read = key.titles.every((title) => title.read);
    this.over = status.every((one) => one !== "running" && one !== "paused");
    this.updateButtons();
    for (const input of this.windows.querySelectorAll("input")) input.checked = input.value === key.window;
    this.updateChoices(key);
    this.setNote("note", this.over ? "" : this.read ? "Read-only: another process writes this experiment" : key.note);
  }

  compose(titles, shape) {
    this.drawn = shape;
    this.parts = titles.map((title, i) => {
      const part = {
        state: element("span", { class: "crucible-state" }),
        time: element("span", { class: "crucible-time" }),
        bar: element("progress", { max: 1, "aria-label": "Progress to the sample size" }),
        count: element("span", { class: "crucible-time" }),
      };
      part.bar.hidden = title.sample_size === null;
      const letter = titles.length > 1 ? [element("span", { class: `crucible-arm crucible-arm-${i}` }, LETTERS[i])] : [];
      const chip = title.condition ? [element("span", { class: "crucible-chip" }, title.condition)] : [];
      const name = element("span", { class: "crucible-name", title: title.hypothesis ?? title.name }, title.name);
      part.root = element("div", { class: "crucible-title" }, ...letter, name, ...chip, part.state, part.time, part.bar, part.count);
      return part;
    });
    this.titles.replaceChildren(...this.parts.map((part) => part.root));
  }

  line(i, status, cards, title) {
    const part = this.parts[i];
    part.state.dataset.status = status;
    setText(part.state, `${MARKS[status] ?? ""} ${status}`);
    const paused = cards.paused >= 1 ? `, ${elapsed(cards.paused)} paused` : "";
    setText(part.time, `${elapsed(cards.wall)} wall, ${elapsed(cards.active)} active${paused}`);
    if (title.sample_size !== null) {
      part.bar.value = Math.min(cards.progress, 1);
      setText(part.count, `${number(cards.total)} of ${number(title.sample_size)} (${Math.floor(100 * cards.progress)} %)`);
    }
  }

  updateButtons() {
    const doing = { pause: "Pausing …", resume: "Resuming …", stop: "Stopping …" };
    const { pending } = this;
    setText(this.pause, pending && pending !== "stop" ? doing[pending] : this.paused && !this.over ? "Resume" : "Pause");
    setText(this.stop, pending === "stop" ? doing.stop : "Stop");
    this.pause.disabled = this.stop.disabled = Boolean(this.over || this.read || this.gone);
  }

  updateChoices(key) {
    this.picker.hidden = !key.columns.length;
    const shape = JSON.stringify([key.columns, key.picked]);
    if (shape === this.chosen) return;
    this.chosen = shape;
    const focused = document.activeElement?.value;
    const inside = this.metrics.contains(document.activeElement);
    this.metrics.replaceChildren(
      ...key.columns.map((name) => {
        const input = element("input", { type: "checkbox", value: name, onchange: () => this.pick() });
        input.checked = key.picked.includes(name);
        return element("label", {}, input, name);
      }),
    );
    if (inside) [...this.metrics.querySelectorAll("input")].find((one) => one.value === focused)?.focus();
  }

  pick() {
    const checked = [...this.metrics.querySelectorAll("input:checked")].map((one) => one.value);
    this.view.send({ kind: "pick", columns: checked });
  }

  stale(seconds, gone) {
    if (gone !== this.gone) {
      this.gone = gone;
      this.updateButtons();
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
