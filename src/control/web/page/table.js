// The table of programs. Each program has one row for as long as it is there; what changes in it is written, nothing else.

import { isDown, isUp, STATES } from "./model.js";
import { byId, bytes, duration, el, percent, plural, render, setAttribute, setText, sparkPath, stateBadge, svg } from "./elements.js";
import { serverNow } from "./daemon.js";
import { mayAct } from "./access.js";

// So long rows are written at a time: the browser draws and takes what the user does in between.
const SLICE_MS = 8;

const SPARK = { width: 56, height: 18 };
const FEWEST = 5;

// How far from its first word a value is sorted: what is missing comes last.
const SORT_KEYS = {
  state: (program) => STATES.indexOf(program.state),
  name: (program) => program.name,
  pid: (program) => program.pid ?? Infinity,
  uptime: (program) => program.startedAt ?? Infinity,
  cpu: (program) => -(program.cpu ?? -1),
  memory: (program) => -(program.memory ?? -1),
  restarts: (program) => -(program.restarts ?? 0),
};

const cell = (kind, label, ...children) => el(`td${kind}`, { role: "cell", "data-label": label }, ...children);

class Row {
  constructor(program, table) {
    this.program = program;
    this.isVisible = false;
    this.state = stateBadge(program.state);
    this.note = el("span.note");
    this.name = el("a.name", { href: `#/program/${encodeURIComponent(program.name)}` }, program.name);
    this.pid = cell(".number", "PID");
    this.uptime = cell(".number", "Uptime");
    this.cpu = spark("CPU");
    this.memory = spark("Memory");
    this.restarts = cell(".number", "Restarts");
    this.health = cell(".health", "Health");
    this.act = el("button.act", { type: "button", onclick: () => table.act(this.verb, program) });
    this.restart = el("button.act", { type: "button", onclick: () => table.act("restart", program) }, "Restart");
    this.restart.setAttribute("aria-label", `Restart ${program.name}`);
    this.element = el("tr.row", { role: "row" },
      cell(".state-cell", "State", this.state),
      cell(".name-cell", "Program", this.name, this.note),
      this.pid, this.uptime, this.cpu.element, this.memory.element, this.restarts, this.health,
      cell(".acts", "Actions", this.restart, this.act));
    this.element.row = this;
  }

  update() {
    const { program } = this;
    const { state } = program;
    setAttribute(this.state, "data-state", state);
    setText(this.state, program.stateWord());
    const note = program.note();
    setText(this.note, note);
    setAttribute(this.note, "title", note);
    setAttribute(this.element, "data-room", isDown(state) ? "wide" : state === "BACKOFF" ? "some" : undefined);
    setText(this.pid, program.pid === undefined ? "" : String(program.pid));
    setText(this.restarts, program.restarts ? String(program.restarts) : "");
    setText(this.health, program.healthWord());
    setAttribute(this.health, "data-health", program.healthWord());
    this.verb = isDown(state) ? "start" : "stop";
    const word = isDown(state) ? "Start" : "Stop";
    setText(this.act, word);
    setAttribute(this.act, "aria-label", `${word} ${program.name}`);
    setAttribute(this.act, "hidden", !mayAct(this.verb, program.name));
    setAttribute(this.restart, "hidden", !isUp(state) || !mayAct("restart", program.name));
    this.tick();
    this.drawUsage();
  }

  // What changes by itself.
  tick() {
    setText(this.uptime, timeOf(this.program));
  }

  drawUsage() {
    const { program } = this;
    this.cpu.write(percent(program.cpu));
    this.memory.write(bytes(program.memory));
    if (!this.isVisible) return;
    this.cpu.draw(program.cpuSamples, 10);
    this.memory.draw(program.memorySamples, 1.25 * (program.memory ?? 1));
  }
}

// How long it runs, or how long until something is done about it.
function timeOf(program) {
  if (program.state === "BACKOFF" && program.retry_at) return `retry in ${Math.max(0, Math.round(program.retry_at - serverNow()))} s`;
  if (program.state === "STOPPING" && program.kill_at) return `kill in ${Math.max(0, Math.round(program.kill_at - serverNow()))} s`;
  const uptime = program.ranFor();
  return uptime === undefined ? "" : duration(Math.floor(uptime));
}

// A value and its line.
function spark(label) {
  const value = el("span.value");
  const path = svg("path");
  const line = svg("svg.spark", { viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, "aria-hidden": "true" }, path);
  return {
    element: cell(".number.usage", label, line, value),
    write: (text) => setText(value, text),
    draw: (samples, top) => {
      // Of fewer there is no line to be seen, only a speck.
      if (samples.length < FEWEST) return setAttribute(path, "d", "");
      // The newest is always at the right edge.
      const padded = [...new Array(Math.max(0, 60 - samples.length)).fill(undefined), ...samples.slice(-60)];
      setAttribute(path, "d", sparkPath(padded, SPARK.width, SPARK.height, top));
    },
  };
}

export class Table {
  // `act(verb, program)` does it; `actGroup(verb, group, names)` to all of a group.
  constructor(model, act, actGroup) {
    this.model = model;
    this.act = act;
    this.actGroup = actGroup;
    this.rows = new Map();
    // Rows that are to be written.
    this.stale = new Set();
    this.groups = new Map();
    this.folded = new Set(JSON.parse(localStorage.getItem("supervice.folded") ?? "[]"));
    this.sort = undefined;
    this.shown = new Set();
    this.chips = new Map();
    this.element = byId("table");
    this.seen = new IntersectionObserver((entries) => this.notice(entries), { rootMargin: "200px" });
    byId("filter").addEventListener("input", () => this.filter());
    this.element.querySelectorAll("[data-sort]").forEach((button) => {
      button.addEventListener("click", () => this.sortBy(button.dataset.sort));
    });
    this.element.addEventListener("keydown", (event) => this.move(event));
    this.element.addEventListener("click", (event) => {
      // The whole row leads where its name does, but not what can be pressed or was marked.
      if (event.target.closest("a, button") || !getSelection().isCollapsed) return;
      event.target.closest("tr")?.row?.name.click();
    });
    for (const state of STATES) this.addChip(state);
  }

  addChip(state) {
    const count = el("b", {}, "0");
    const chip = el("button.chip", { type: "button", "aria-pressed": "false", "data-state": state }, state, " ", count);
    chip.addEventListener("click", () => {
      if (!this.shown.delete(state)) this.shown.add(state);
      chip.setAttribute("aria-pressed", this.shown.has(state));
      this.filter();
    });
    byId("states").append(chip);
    this.chips.set(state, { chip, count });
  }

  // Everything anew: programs have come, gone or moved.
  rebuild() {
    for (const [name, row] of this.rows) {
      if (this.model.get(name) === row.program) continue;
      this.seen.unobserve(row.element);
      this.stale.delete(row);
      this.rows.delete(name);
    }
    for (const program of this.model.all()) {
      if (this.rows.has(program.name)) continue;
      const row = new Row(program, this);
      setAttribute(row.element, "aria-current", program.name === this.selected && "true");
      this.rows.set(program.name, row);
      this.seen.observe(row.element);
    }
    this.writeSoon(this.rows.values());
    this.arrange();
  }

  // Has these rows written: soon, and a thousand of them not in one go.
  writeSoon(rows) {
    for (const row of rows) this.stale.add(row);
    if (this.stale.size > 0) this.writing ??= setTimeout(() => render(() => this.write()));
  }

  // Writes what fits between two pictures, first what can be seen.
  write() {
    this.writing = undefined;
    const end = performance.now() + SLICE_MS;
    const seen = [...this.stale].filter((row) => row.isVisible);
    for (const row of [...seen, ...this.stale]) {
      if (!this.stale.delete(row)) continue;
      row.update();
      if (performance.now() > end) break;
    }
    this.writeSoon([]);
  }

  // The rows in their order: by groups as they are configured, or sorted by a column.
  arrange() {
    if (this.sort && this.isInOrder()) return this.filter();
    const focused = document.activeElement;
    const bodies = this.sort ? [this.sortedBody()] : this.groupBodies();
    this.element.replaceChildren(this.element.tHead, ...bodies);
    if (focused && focused !== document.body && this.element.contains(focused)) focused.focus({ preventScroll: true });
    this.filter();
  }

  sortedRows() {
    const key = SORT_KEYS[this.sort];
    return [...this.rows.values()].sort((one, other) => {
      const [a, b] = [key(one.program), key(other.program)];
      return (a < b ? -1 : a > b ? 1 : 0) || one.program.place - other.program.place;
    });
  }

  sortedBody() {
    this.groups.clear();
    return el("tbody", { role: "rowgroup" }, ...this.sortedRows().map((row) => row.element));
  }

  // The rows stand as they are to be sorted already.
  isInOrder() {
    const bodies = this.element.tBodies;
    if (bodies.length !== 1 || this.groups.size > 0 || bodies[0].rows.length !== this.rows.size) return false;
    return this.sortedRows().every((row, at) => bodies[0].rows[at] === row.element);
  }

  groupBodies() {
    const members = new Map();
    let single;
    const bodies = [];
    for (const program of this.model.all()) {
      const row = this.rows.get(program.name);
      if (!program.isGrouped) {
        single ??= [];
        if (single.length === 0) bodies.push(single);
        single.push(row);
        continue;
      }
      single = undefined;
      if (!members.has(program.group)) {
        members.set(program.group, []);
        bodies.push(members.get(program.group));
      }
      members.get(program.group).push(row);
    }
    this.groups.clear();
    return bodies.map((rows) => {
      const body = el("tbody", { role: "rowgroup" });
      const { group, isGrouped } = rows[0].program;
      if (isGrouped) body.append(this.groupHead(group, rows, body));
      body.append(...rows.map((row) => row.element));
      return body;
    });
  }

  groupHead(group, rows, body) {
    const summary = el("span.summary");
    const fold = el("button.fold", { type: "button", "aria-expanded": String(!this.folded.has(group)) }, el("span.name", {}, group));
    fold.addEventListener("click", () => {
      if (!this.folded.delete(group)) this.folded.add(group);
      localStorage.setItem("supervice.folded", JSON.stringify([...this.folded]));
      fold.setAttribute("aria-expanded", !this.folded.has(group));
      this.filter();
    });
    const names = rows.map((row) => row.program.name);
    const all = `all ${names.length}`;
    const acts = ["start", "restart", "stop"].filter((verb) => names.every((name) => mayAct(verb, name))).map((verb) => {
      const word = verb[0].toUpperCase() + verb.slice(1);
      const press = () => this.actGroup(verb, group, names);
      return el("button.act", { type: "button", "aria-label": `${word} ${all} of ${group}`, onclick: press }, `${word} ${all}`);
    });
    this.groups.set(group, { rows, body, summary });
    return el("tr.group", { role: "row" }, el("th", { role: "rowheader", scope: "rowgroup", colspan: "9" }, fold, summary, el("span.acts", {}, ...acts)));
  }

  sortBy(column) {
    this.sort = this.sort === column ? undefined : column;
    this.element.querySelectorAll("[data-sort]").forEach((button) => {
      const isIt = button.dataset.sort === this.sort;
      setAttribute(button.closest("th"), "aria-sort", isIt && (column === "name" || column === "state" ? "ascending" : "descending"));
    });
    this.arrange();
  }

  // One program has changed.
  update(program) {
    const row = this.rows.get(program.name);
    if (!row) return;
    this.writeSoon([row]);
    this.filterRow(row, this.words());
  }

  updateAll() {
    this.writeSoon(this.rows.values());
    this.filter();
  }

  words() {
    return byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  }

  filter() {
    const words = this.words();
    for (const row of this.rows.values()) this.filterRow(row, words);
    this.summarize();
  }

  filterRow(row, words) {
    const { program } = row;
    const text = `${program.name} ${program.group} ${program.state} ${program.note()}`.toLowerCase();
    row.fits = words.every((word) => text.includes(word)) && (this.shown.size === 0 || this.shown.has(program.state));
    // A filter looks into folded groups too.
    const isFiltered = words.length > 0 || this.shown.size > 0;
    const isFolded = !this.sort && !isFiltered && program.isGrouped && this.folded.has(program.group);
    setAttribute(row.element, "hidden", !row.fits || isFolded);
  }

  // What stands above and beside the rows: counts by state, of all and of each group.
  summarize() {
    const counts = this.model.counts();
    for (const [state, { chip, count }] of this.chips) {
      const number = counts.get(state) ?? 0;
      setText(count, String(number));
      chip.hidden = number === 0 && !this.shown.has(state);
    }
    let fitting = 0;
    for (const row of this.rows.values()) fitting += row.fits ? 1 : 0;
    for (const { rows, body, summary } of this.groups.values()) {
      body.hidden = !rows.some((row) => row.fits);
      const states = STATES.map((state) => [state, rows.filter((row) => row.program.state === state).length]);
      const text = states.filter(([, number]) => number > 0).map(([state, number]) => `${number} ${state.toLowerCase()}`).join(", ");
      setText(summary, text);
    }
    const empty = byId("empty");
    empty.hidden = fitting > 0;
    if (fitting > 0) empty.replaceChildren();
    else this.tellEmpty(empty);
  }

  tellEmpty(empty) {
    if (empty.hasChildNodes()) return;
    if (this.rows.size === 0) {
      empty.append(el("p", {}, "The daemon has no programs."), el("p.muted", {}, "Write a section [program:NAME] into its configuration, then choose Update in the menu Daemon."));
      return;
    }
    empty.append(el("p", {}, "No program fits the filter."), el("button", { type: "button", onclick: () => this.clearFilter() }, "Show all"));
  }

  clearFilter() {
    byId("filter").value = "";
    this.shown.clear();
    for (const { chip } of this.chips.values()) chip.setAttribute("aria-pressed", "false");
    this.filter();
    byId("filter").focus();
  }

  tick() {
    for (const row of this.rows.values()) if (row.isVisible) row.tick();
  }

  drawUsage() {
    if (this.sort === "cpu" || this.sort === "memory") this.arrange();
    this.writeSoon(this.rows.values());
  }

  // Also of one that is not known yet.
  select(name) {
    this.selected = name;
    for (const row of this.rows.values()) setAttribute(row.element, "aria-current", row.program.name === name && "true");
  }

  focus(name) {
    this.rows.get(name)?.name.focus();
  }

  // Lines are drawn where they can be seen.
  notice(entries) {
    for (const { target, isIntersecting } of entries) {
      target.row.isVisible = isIntersecting;
      if (isIntersecting) {
        target.row.tick();
        target.row.drawUsage();
      }
    }
  }

  // Up and down lead from name to name, past what stands beside them.
  move(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const stops = [...this.element.querySelectorAll("tr:not([hidden]) a.name, tr:not([hidden]) .fold")].filter((stop) => stop.offsetParent);
    const own = event.target.closest("tr")?.querySelector("a.name, .fold");
    const next = stops[stops.indexOf(own) + (event.key === "ArrowDown" ? 1 : -1)];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}

