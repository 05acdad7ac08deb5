// One program: why it is in its state, what it has been through, what it writes, what it needs.

import { get, programPath, serverNow } from "./daemon.js";
import { bytes, byId, duration, el, moment, percent, setAttribute, setText, sparkPath, stateBadge, svg } from "./elements.js";
import { isDown, isUp } from "./model.js";
import { Log } from "./log.js";
import { mayAct } from "./access.js";

const SIGNALS = ["HUP", "USR1", "USR2", "INT", "TERM", "QUIT", "KILL", "STOP", "CONT", "WINCH"];

const CHART = { width: 240, height: 56 };

const TABS = { why: "Why", history: "History", log: "Log", needs: "Needs" };

export class ProgramView {
  // `act(verb, program, more)` does it; `close()` is called when it is to go.
  constructor(model, act, close) {
    [this.model, this.act, this.close] = [model, act, close];
    this.element = byId("program");
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) this.close();
    });
  }

  // Shows it; whether it is another one than before.
  show(name, tab) {
    const isNew = this.name !== name;
    if (isNew) {
      this.hide();
      this.name = name;
      this.build();
    }
    this.element.hidden = false;
    this.choose(tab in TABS ? tab : "why");
    return isNew;
  }

  hide() {
    this.log?.end();
    this.log = undefined;
    this.name = this.tab = undefined;
    this.element.hidden = true;
    this.element.replaceChildren();
  }

  build() {
    const { name } = this;
    const press = (verb) => () => this.act(verb, this.model.get(name), {});
    const button = (verb, word) => el("button", { type: "button", "data-verb": verb, onclick: press(verb) }, word);
    this.buttons = [button("start", "Start"), button("stop", "Stop"), button("restart", "Restart"), button("reload", "Reload"), button("pause", "Pause"), button("resume", "Resume")];
    const signal = el("select", { "aria-label": "Signal" }, ...SIGNALS.map((word) => el("option", {}, word)));
    const send = el("button", { type: "button", onclick: () => this.act("signal", this.model.get(name), { signal: signal.value }) }, "Send signal");
    this.signal = el("span.signal", {}, signal, send);
    this.badge = stateBadge("STOPPED");
    this.facts = el("dl.facts");
    const tabs = Object.entries(TABS).filter(([tab]) => tab !== "log" || mayAct("log", name));
    this.tabs = tabs.map(([tab, word]) => el("button", {
      type: "button", role: "tab", id: `tab-${tab}`, "aria-controls": "pane", "aria-selected": "false", tabindex: "-1",
      onclick: () => this.go(tab),
    }, word));
    const list = el("div.tabs", { role: "tablist", "aria-label": "About this program", onkeydown: (event) => this.turn(event) }, ...this.tabs);
    this.pane = el("div.pane", { role: "tabpanel", id: "pane" });
    this.element.replaceChildren(
      el("header", {}, el("h2", { id: "program-name", tabindex: "-1" }, name), this.badge,
        el("button.close", { type: "button", "aria-label": "Close", title: "Close (Escape)", onclick: () => this.close() }, "×")),
      this.facts, el("div.acts", {}, ...this.buttons, this.signal), list, this.pane);
    this.update();
  }

  go(tab) {
    location.hash = `#/program/${encodeURIComponent(this.name)}/${tab}`;
  }

  turn(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = this.tabs.findIndex((button) => button.id === `tab-${this.tab}`);
    const next = this.tabs[(at + step + this.tabs.length) % this.tabs.length];
    event.preventDefault();
    next.click();
    next.focus();
  }

  choose(tab) {
    if (tab === this.tab) return;
    this.tab = tab;
    for (const button of this.tabs) {
      const isIt = button.id === `tab-${tab}`;
      button.setAttribute("aria-selected", isIt);
      button.tabIndex = isIt ? 0 : -1;
    }
    this.pane.setAttribute("aria-labelledby", `tab-${tab}`);
    this.log?.end();
    this.log = undefined;
    this.pane.replaceChildren();
    this.charts = undefined;
    if (tab === "log") {
      this.log = new Log(this.name);
      this.pane.replaceChildren(this.log.element);
    } else {
      this.refresh();
    }
  }

  // Its state has changed.
  update() {
    const program = this.model.get(this.name);
    if (this.element.hidden && this.tab) return;
    if (!program) {
      // Before the first answer nobody knows.
      this.isMissing = this.tab !== undefined && this.model.isKnown;
      if (this.isMissing) this.pane.replaceChildren(el("p.empty", {}, "The daemon has no program of this name."));
      this.buttons?.forEach((button) => (button.hidden = true));
      if (this.signal) this.signal.hidden = true;
      return;
    }
    if (this.isMissing) {
      // It is there again, and so is what was shown of it.
      const { tab } = this;
      this.isMissing = false;
      this.tab = undefined;
      this.choose(tab);
    }
    const { state } = program;
    setAttribute(this.badge, "data-state", state);
    setText(this.badge, program.stateWord());
    const canPause = isUp(state) && !program.paused;
    const offered = { start: isDown(state), stop: !isDown(state), restart: isUp(state), reload: isUp(state), pause: canPause, resume: program.paused };
    for (const button of this.buttons) {
      const { verb } = button.dataset;
      button.hidden = !offered[verb] || !mayAct(verb, program.name);
    }
    this.signal.hidden = program.pid === undefined || !mayAct("signal", program.name);
    const facts = [
      ["PID", program.pid], ["Uptime", program.ranFor() === undefined ? undefined : duration(Math.floor(program.ranFor()))],
      ["Restarts", program.restarts], ["Health", program.healthWord()], ["Group", program.isGrouped ? program.group : undefined],
      ["Starts by itself", program.autostart === undefined ? undefined : program.autostart ? "yes" : "no"],
    ].filter(([, value]) => value !== undefined && value !== "");
    const text = JSON.stringify(facts);
    if (text !== this.factsText) {
      this.factsText = text;
      this.facts.replaceChildren(...facts.map(([word, value]) => el("div", {}, el("dt", {}, word), el("dd", {}, String(value)))));
    }
  }

  // The answer tells how long ago everything was. It is not replaced under the hands of who marks or reads it.
  freshen() {
    const { anchorNode, isCollapsed } = getSelection();
    const isInUse = (!isCollapsed && this.pane?.contains(anchorNode)) || this.pane?.contains(document.activeElement);
    if (this.tab === "why" && !isInUse) this.refresh(true);
  }

  // Something has happened to it: what is shown is asked for again. `isKept`: without an answer it stays.
  async refresh(isKept = false) {
    const { name, tab } = this;
    if (!name || tab === "log") return;
    const show = { why: showWhy, history: showHistory, needs: showNeeds }[tab];
    let content;
    try {
      content = await show(this, name);
    } catch (error) {
      if (isKept) return;
      content = [el("p.problem", { role: "alert" }, error.message)];
    }
    if (this.name === name && this.tab === tab) this.pane.replaceChildren(...content);
    this.drawUsage();
  }

  drawUsage() {
    const program = this.model.get(this.name);
    if (!program || this.tab !== "why" || !this.charts) return;
    this.charts.cpu.draw(program.cpuSamples, percent, 10);
    this.charts.memory.draw(program.memorySamples, bytes, 1.25 * (program.memory ?? 1));
  }
}

async function showWhy(view, name) {
  const why = await get(`${programPath(name)}/why`);
  view.charts ??= { cpu: chart("CPU"), memory: chart("Memory") };
  const [first, ...others] = why.lines;
  const content = [el("p.lead", {}, first ?? ""), el("ul.lines-of-why", {}, ...others.map((line) => el("li", {}, line)))];
  if (why.stderr.length > 0) {
    content.push(el("h3", {}, "Last words"), el("pre.words", { tabindex: "0" }, why.stderr.join("\n")));
  }
  if (view.model.get(name)?.pid !== undefined) content.push(el("div.charts", {}, view.charts.cpu.element, view.charts.memory.element));
  return content;
}

// The last minutes of a value.
function chart(word) {
  const path = svg("path");
  const now = el("b");
  const most = el("span.muted");
  const picture = svg("svg.chart", { viewBox: `0 0 ${CHART.width} ${CHART.height}`, preserveAspectRatio: "none", "aria-hidden": "true" }, path);
  return {
    element: el("figure", {}, el("figcaption", {}, word, " ", now, " ", most), picture),
    draw: (samples, inWords, top) => {
      const known = samples.filter((value) => value !== undefined);
      setText(now, known.length === 0 ? "–" : inWords(samples.at(-1) ?? known.at(-1)));
      setText(most, known.length === 0 ? "" : `at most ${inWords(Math.max(...known))}`);
      setAttribute(path, "d", sparkPath(samples, CHART.width, CHART.height, top));
    },
  };
}

async function showHistory(view, name) {
  const { history } = await get(`${programPath(name)}/history`);
  if (history.length === 0) return [el("p.empty", {}, "Nothing has happened to it yet.")];
  const items = history.map((item, index) => {
    const next = history[index + 1];
    const lasted = (next?.time ?? serverNow()) - item.time;
    const isNote = item.from_state === item.to_state;
    return el("li", { "data-state": item.to_state },
      el("p.when", {}, el("time", { datetime: new Date(item.time * 1000).toISOString() }, moment(item.time)),
        el("span.muted", {}, next ? ` for ${duration(lasted)}` : ` for ${duration(lasted)} so far`)),
      el("p", {}, isNote ? el("b", {}, "Note") : stateBadge(item.to_state), item.pid ? el("span.muted", {}, ` PID ${item.pid}`) : ""),
      el("p.cause", {}, item.cause));
  });
  return [band(history), el("ol.history", {}, ...items.reverse())];
}

// The states as a band, as long as each has lasted.
function band(history) {
  const [begin, end] = [history[0].time, serverNow()];
  const scale = 1000 / Math.max(1e-3, end - begin);
  const pieces = history.map((item, index) => {
    const [from, to] = [item.time, history[index + 1]?.time ?? end];
    return svg("rect", { x: (from - begin) * scale, width: Math.max(1, (to - from) * scale), height: 10, "data-state": item.to_state },
      svg("title", {}, `${item.to_state} ${moment(item.time)}`));
  });
  return el("figure.band", {}, svg("svg", { viewBox: "0 0 1000 10", preserveAspectRatio: "none", "aria-hidden": "true" }, ...pieces),
    el("figcaption", {}, el("span", {}, moment(begin)), el("span", {}, "now")));
}

async function showNeeds(view, name) {
  const { processes } = await get(`${programPath(name)}/graph`);
  const own = processes.find((row) => row.name === name)?.needs ?? [];
  const others = processes.flatMap((row) => row.needs.filter((need) => need.on === name).map((need) => ({ ...need, on: row.name })));
  const list = (title, needs, none) => [el("h3", {}, title), needs.length === 0 ? el("p.muted", {}, none) : el("ul.needs", {}, ...needs.map((need) => {
    const state = view.model.get(need.on)?.state;
    return el("li", {}, el("a", { href: `#/program/${encodeURIComponent(need.on)}/needs` }, need.on), state ? stateBadge(state) : "",
      el("span.muted", {}, `${need.kind}, ${need.condition}`), need.holds ? "" : el("span.problem", {}, "does not hold now"));
  }))];
  return [...list("It needs", own, "No other program."), ...list("It is needed by", others, "No other program.")];
}
