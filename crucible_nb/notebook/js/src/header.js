// Who, in which state, how far; and what can be done about it.
import { element, say } from "./dom.js";
import { elapsed, number } from "./format.js";

const MARKS = { running: "▶", paused: "❚❚", stopped: "■", failed: "✕", dead: "✕", archived: "▣" };
const WINDOWS = [["1min", "1 min"], ["5min", "5 min"], ["1h", "1 h"], ["all", "all"]];
const LETTERS = ["A", "B"];

export class Header {
  /** @param {import("./view.js").View} view */
  constructor(view) {
    this.view = view;
    this.asked = "";
    this.gone = false;
    this.titles = element("div", { class: "crucible-titles" });
    this.pause = element("button", { type: "button", class: "crucible-pause", onclick: () => this.toggle() }, "Pause");
    this.stop = element("button", { type: "button", class: "crucible-stop", onclick: () => this.ask("stop") }, "Stop");
    this.freezer = element(
      "button",
      { type: "button", class: "crucible-freeze", "aria-pressed": "false", title: "Hold this view still; the run goes on", onclick: () => view.freeze(!view.frozen) },
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
    this.said = element("p", { class: "crucible-said" });
    this.root = element(
      "header",
      {},
      this.titles,
      element("div", { class: "crucible-controls" }, this.pause, this.stop, this.freezer, this.windows, this.picker),
      this.said,
    );
    this.lines = { stale: "", frozen: "", trouble: "", note: "" };
    this.drawn = "";
  }

  makeWindows() {
    const name = `${this.view.prefix}-window`;
    const options = WINDOWS.map(([value, text]) => {
      const input = element("input", {
        type: "radio", name, value, onchange: () => this.view.tell({ kind: "window", window: value }),
      });
      return element("label", {}, input, element("span", {}, text));
    });
    return element("fieldset", { class: "crucible-windows" }, element("legend", { class: "crucible-hidden" }, "Window of time"), ...options);
  }

  toggle() {
    this.ask(this.paused ? "resume" : "pause");
  }

  ask(verb) {
    this.asked = verb;
    this.view.tell({ kind: "do", verb });
    this.buttons();
  }

  paint(held) {
    const { key, status, arms } = held;
    const shape = JSON.stringify(key.titles);
    if (shape !== this.drawn) this.compose(key.titles, shape);
    arms.forEach((arm, i) => this.line(i, status[i], arm.cards, key.titles[i]));
    const done = { pause: "paused", resume: "running", stop: "stopped" }[this.asked];
    if (!status.some((one) => one === "running" || one === "paused") || status.every((one) => one === done)) this.asked = "";
    this.paused = status.every((one) => one !== "running");
    this.read = key.titles.every((title) => title.read);
    this.over = status.every((one) => one !== "running" && one !== "paused");
    this.buttons();
    for (const input of this.windows.querySelectorAll("input")) input.checked = input.value === key.window;
    this.choices(key);
    this.tell("note", this.over ? "" : this.read ? "Only read here: another process writes it" : key.note);
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
    say(part.state, `${MARKS[status] ?? ""} ${status}`);
    const paused = cards.paused >= 1 ? `, ${elapsed(cards.paused)} paused` : "";
    say(part.time, `${elapsed(cards.wall)} wall, ${elapsed(cards.active)} active${paused}`);
    if (title.sample_size !== null) {
      part.bar.value = Math.min(cards.progress, 1);
      say(part.count, `${number(cards.total)} of ${number(title.sample_size)} (${Math.floor(100 * cards.progress)} %)`);
    }
  }

  buttons() {
    const doing = { pause: "Pausing …", resume: "Resuming …", stop: "Stopping …" };
    say(this.pause, this.asked && this.asked !== "stop" ? doing[this.asked] : this.paused && !this.over ? "Resume" : "Pause");
    say(this.stop, this.asked === "stop" ? doing.stop : "Stop");
    this.pause.disabled = this.stop.disabled = Boolean(this.over || this.read || this.gone);
  }

  choices(key) {
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
    this.view.tell({ kind: "pick", columns: checked });
  }

  stale(seconds, gone) {
    if (gone !== this.gone) {
      this.gone = gone;
      this.buttons();
    }
    const silent = seconds ? `Stale: nothing heard from the kernel for ${seconds} s` : "";
    this.tell("stale", gone ? "Stale: the kernel that drew this is gone; run the cell again" : silent);
  }

  freeze(text) {
    this.freezer.setAttribute("aria-pressed", String(Boolean(text)));
    say(this.freezer, text ? "Go on" : "Freeze");
    this.tell("frozen", text ? `View ${text}; the run goes on` : "");
  }

  trouble(text) {
    this.tell("trouble", text ? `Trouble: ${text}` : "");
  }

  tell(kind, text) {
    this.lines[kind] = text;
    const said = Object.values(this.lines).filter(Boolean).join(" · ");
    say(this.said, said);
    this.said.hidden = !said;
  }
}
