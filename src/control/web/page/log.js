// The output of a program: it comes as it is written; it may be held, searched, and narrowed to what was searched for.

import { programPath, stream } from "./daemon.js";
import { el, plural, setText } from "./elements.js";

// Lines that are asked for first, and that are kept.
const FIRST_LINES = 500;
const KEPT_LINES = 5000;

// Colours of terminals, and other control characters but for the tabulator.
const CONTROLS = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|.)|[\u0000-\u0008\u000b-\u001f\u007f]/g;

export class Log {
  constructor(name) {
    this.name = name;
    this.kind = "stdout";
    this.waiting = [];
    this.open = "";
    this.openLine = undefined;
    this.isPaused = false;
    this.found = -1;
    this.lines = el("div.lines", { role: "log", "aria-live": "off", "aria-label": `Output of ${name}`, tabindex: "0" });
    this.lines.addEventListener("scroll", () => this.notice());
    this.note = el("p.muted.note", { role: "status" });
    this.search = el("input", { type: "search", placeholder: "Search", "aria-label": "Search in the output", autocomplete: "off", spellcheck: "false" });
    this.search.addEventListener("input", () => this.searchAll());
    this.search.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.jump(event.shiftKey ? -1 : 1);
    });
    this.count = el("span.muted", { role: "status" });
    this.only = el("input", { type: "checkbox", onchange: () => this.searchAll() });
    this.follow = el("input", { type: "checkbox", checked: true, onchange: () => this.follow.checked && this.toEnd() });
    this.pause = el("button", { type: "button", "aria-pressed": "false", onclick: () => this.setPaused(!this.isPaused) }, "Pause");
    const kinds = ["stdout", "stderr"].map((kind) => {
      const input = el("input", { type: "radio", name: "log-kind", value: kind, onchange: () => this.choose(kind) });
      input.checked = kind === this.kind;
      return el("label", {}, input, kind);
    });
    this.element = el("div.log", {},
      el("div.log-tools", {}, el("fieldset.kinds", {}, el("legend.unseen", {}, "Stream"), ...kinds), this.search, this.count,
        el("label", {}, this.only, "only these"), el("span.gap"), el("label", {}, this.follow, "Follow"), this.pause),
      this.lines, this.note);
    this.begin();
  }

  choose(kind) {
    this.kind = kind;
    this.begin();
  }

  begin() {
    this.end();
    this.ending = new AbortController();
    this.run(this.ending.signal);
  }

  end() {
    this.ending?.abort();
  }

  async run(signal) {
    for (let tries = 0; !signal.aborted; tries += 1) {
      try {
        const path = `${programPath(this.name)}/log?stream=${this.kind}&lines=${FIRST_LINES}&follow=true`;
        await stream(path, signal, () => this.clear(), (_, data) => this.take(data));
        if (signal.aborted) return;
        setText(this.note, "The stream has ended; it is asked for again.");
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 404 || error.status === 403 || error.status === 409) {
          this.clear();
          setText(this.note, error.message);
          return;
        }
        setText(this.note, `${error.message}; it is asked for again.`);
      }
      await new Promise((resolve) => setTimeout(resolve, Math.min(5000, 500 * 2 ** tries)));
    }
  }

  clear() {
    this.waiting = [];
    [this.open, this.openLine] = ["", undefined];
    this.lines.replaceChildren();
    setText(this.note, `Nothing was written to ${this.kind} yet.`);
  }

  take({ text, lossy, lost }) {
    if (lost) this.waiting.push({ text: `${plural(lost, "byte was", "bytes were")} lost here`, isNote: true });
    if (lossy && !this.wasLossy) this.wasLossy = true;
    const parts = (this.open + text).split("\n");
    this.open = parts.pop();
    // A line without an end is shown when it becomes long.
    if (this.open.length > 64 * 1024) parts.push(this.open), (this.open = "");
    for (const part of parts) this.waiting.push({ text: part.replace(CONTROLS, "") });
    if (this.waiting.length > 2 * KEPT_LINES) this.waiting.splice(0, this.waiting.length - KEPT_LINES);
    this.plan();
  }

  // Lines are written once in a frame, however many have come.
  plan() {
    if (this.isPlanned) return;
    this.isPlanned = true;
    requestAnimationFrame(() => {
      this.isPlanned = false;
      this.write();
    });
  }

  write() {
    this.openLine?.remove();
    if (this.isPaused) {
      setText(this.pause, `Resume (${this.waiting.length})`);
      return;
    }
    const fresh = this.waiting.splice(0).slice(-KEPT_LINES);
    this.lines.append(...fresh.map(({ text, isNote }) => {
      const line = el(isNote ? "div.line.lost" : "div.line", {}, text);
      this.mark(line);
      return line;
    }));
    this.openLine = this.open === "" ? undefined : el("div.line.open", {}, this.open.replace(CONTROLS, ""));
    if (this.openLine) this.lines.append(this.openLine);
    let surplus = this.lines.childElementCount - KEPT_LINES;
    while (surplus-- > 0) this.lines.firstElementChild.remove();
    const isEmpty = this.lines.childElementCount === 0;
    const lossy = this.wasLossy ? "What is no UTF-8 is shown as \ufffd." : "";
    setText(this.note, isEmpty ? `Nothing was written to ${this.kind} yet.` : lossy);
    this.tellCount();
    if (this.follow.checked) this.toEnd();
  }

  toEnd() {
    this.lines.scrollTop = this.lines.scrollHeight;
  }

  // Who scrolls up wants to read; who comes to the end wants more.
  notice() {
    const { scrollTop, scrollHeight, clientHeight } = this.lines;
    this.follow.checked = scrollHeight - scrollTop - clientHeight < 24;
  }

  setPaused(isPaused) {
    this.isPaused = isPaused;
    this.pause.setAttribute("aria-pressed", isPaused);
    setText(this.pause, isPaused ? "Resume" : "Pause");
    if (!isPaused) this.write();
  }

  searchAll() {
    this.found = -1;
    for (const line of this.lines.children) this.mark(line);
    this.tellCount();
    if (this.search.value) this.jump(-1);
    else if (this.follow.checked) this.toEnd();
  }

  // Marks what is searched for in a line.
  mark(line) {
    const wanted = this.search.value.toLowerCase();
    const text = line.textContent;
    const lower = text.toLowerCase();
    const isHit = wanted !== "" && lower.includes(wanted);
    line.hidden = this.only.checked && wanted !== "" && !isHit;
    if (!isHit && line.childElementCount === 0) return;
    const parts = [];
    let at = 0;
    // Letters whose small form is longer would shift the marks.
    for (let hit = isHit && lower.length === text.length ? lower.indexOf(wanted) : -1; hit >= 0; hit = lower.indexOf(wanted, at)) {
      parts.push(text.slice(at, hit), el("mark", {}, text.slice(hit, hit + wanted.length)));
      at = hit + wanted.length;
    }
    line.replaceChildren(...parts, text.slice(at));
  }

  tellCount() {
    const hits = this.lines.getElementsByTagName("mark").length;
    setText(this.count, this.search.value === "" ? "" : plural(hits, "hit", "hits"));
  }

  jump(step) {
    const hits = this.lines.getElementsByTagName("mark");
    if (hits.length === 0) return;
    hits[this.found]?.classList.remove("current");
    this.found = this.found < 0 && step < 0 ? hits.length - 1 : (this.found + step + hits.length) % hits.length;
    hits[this.found].classList.add("current");
    hits[this.found].scrollIntoView({ block: "center" });
    setText(this.count, `${this.found + 1} of ${hits.length}`);
  }
}
