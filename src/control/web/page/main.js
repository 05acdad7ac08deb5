// What binds the page together: the stream of events, the views, and what is done on behalf of the user.

import { allPages, command, get, Refused, serverNow, stream, Unreachable } from "./daemon.js";
import { announce, byId, confirmed, duration, moment, plural, render, setText, toast } from "./elements.js";
import { Graph } from "./graph.js";
import { isDown, Model } from "./model.js";
import { ProgramView } from "./program.js";
import { Table } from "./table.js";
import { learnAccess, mayAct } from "./access.js";

// What has changed is asked for when nothing more has happened for so long.
const SETTLE_MS = 120;
// More programs than this are asked for together.
const ONE_BY_ONE = 4;
// Between two looks at what programs use; of many it costs the daemon's machine more.
const LOOK_MS = (count) => (count > 200 ? 5000 : 2000);
// What no event tells (a pause, the words of a service) is seen after so long at the latest.
const WHOLE_STATUS_MS = 10000;
// So old becomes the answer why a program is in its state, while nothing happens to it.
const WHY_MS = 10000;
const LONGEST_PAUSE_MS = 5000;

const model = new Model();
const table = new Table(model, act, actOnGroup);
const graph = new Graph(model);
const view = new ProgramView(model, act, () => (location.hash = graphIsShown() ? "#/graph" : "#/"));

const graphIsShown = () => !graph.element.hidden;

// --- The connection

let daemonPid;
let lostSince;
let ending = new AbortController();
let wholeStatusAt = 0;

function setConnection(state, word) {
  byId("connection").dataset.state = state;
  setText(byId("connection"), word);
  document.body.classList.toggle("stale", state === "lost");
}

function tellTrouble(text) {
  const trouble = byId("trouble");
  trouble.hidden = text === "";
  setText(trouble, text);
}

// Stays connected: after each loss and each hour in the background, everything is asked for again.
async function stayConnected() {
  let tries = 0;
  for (;;) {
    // A page that nobody sees holds no connection: browsers have few for all pages together.
    await untilVisible();
    ending = new AbortController();
    try {
      const begun = () => resynchronise().then(() => (tries = 0), (error) => ending.abort(error));
      await stream("events", ending.signal, begun, take);
      throw new Unreachable("the daemon has closed the connection");
    } catch (error) {
      if (!document.hidden) lose(ending.signal.aborted ? ending.signal.reason : error);
    }
    if (document.hidden) continue;
    tries += 1;
    await new Promise((resolve) => setTimeout(resolve, Math.min(LONGEST_PAUSE_MS, 250 * 2 ** tries)));
  }
}

function untilVisible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) ending.abort();
});

function lose(error) {
  lostSince ??= serverNow();
  setConnection("lost", "no connection");
  const since = `since ${moment(lostSince)}: ${error.message}`;
  if (error.status === 401) tellTrouble(`The daemon asks for a password ${since}. Load the page again to log in.`);
  else if (error instanceof Refused) tellTrouble(`The daemon refuses to tell ${since}. It is asked again.`);
  else tellTrouble(`No connection ${since}; it is tried again. What is shown here may be old.`);
}

// The stream is there: from here on nothing is missed, and what was before is asked for.
async function resynchronise() {
  const version = await get("version");
  await learnAccess();
  await askForAll();
  setText(byId("daemon-facts"), `supervice ${version.version}, process ${version.pid}`);
  setConnection("live", "live");
  tellTrouble("");
  const isAnother = daemonPid !== undefined && daemonPid !== version.pid;
  if (isAnother) toast(`The daemon was restarted: process ${version.pid}, before ${daemonPid}.`, "note");
  else if (lostSince !== undefined) toast(`Connected again after ${duration(serverNow() - lostSince)}.`, "note");
  [daemonPid, lostSince] = [version.pid, undefined];
  look();
  if (graphIsShown()) await graph.show();
}

function offerWhatMayBeDone() {
  for (const button of byId("daemon-menu").querySelectorAll("[data-act]")) {
    const [verb, all] = button.dataset.act.split("-");
    button.hidden = all ? ![...model.all()].some(({ name }) => mayAct(verb, name)) : !mayAct(verb);
  }
}

async function askForAll() {
  const { processes } = await get("status");
  wholeStatusAt = performance.now();
  render(() => {
    if (model.takeAll(processes)) table.rebuild();
    else table.updateAll();
    afterwards();
  });
  offerWhatMayBeDone();
}

// --- What happens

const changed = new Set();
let settling;

function take(type, event) {
  if (type === "gap") {
    // Something is missing: all is asked for again.
    askForAll().catch(tell);
    return;
  }
  const program = model.get(event.processname);
  if (!program) {
    // It is new here.
    changed.add(event.processname);
    settle();
    return;
  }
  if (event.to_state) {
    const before = program.state;
    program.move(event);
    if (before !== program.state && (program.state === "FATAL" || program.state === "UNHEALTHY")) announce(`${program.name} is ${program.state}`);
  }
  table.update(program);
  if (view.name === program.name) view.update();
  if (graphIsShown()) graph.update(program.name);
  changed.add(program.name);
  settle();
}

function settle() {
  settling ??= setTimeout(() => {
    settling = undefined;
    refreshChanged().catch(tell);
  }, SETTLE_MS);
}

// Asks for what has changed. A thousand that change together are one question.
async function refreshChanged() {
  const names = [...new Set([...changed, ...model.waitingFor(changed)])];
  changed.clear();
  const isFew = names.length <= ONE_BY_ONE && names.every((name) => model.get(name));
  if (isFew) {
    for (const name of names) await refreshOne(name);
  } else {
    await askForAll();
  }
  render(afterwards);
  if (names.includes(view.name)) view.refresh();
  if (graphIsShown()) graph.takeHolds(await allPages("graph"));
}

async function refreshOne(name) {
  try {
    const { processes } = await get(`status?name=${encodeURIComponent(name)}`);
    render(() => {
      for (const row of processes) if (model.take(row)) table.update(model.get(row.name));
    });
  } catch (error) {
    // It has gone with a reload.
    if (error.status !== 404) throw error;
    await askForAll();
  }
}

// What depends on all of them together.
function afterwards() {
  table.summarize();
  view.update();
  const counts = model.counts();
  const bad = (counts.get("FATAL") ?? 0) + (counts.get("UNHEALTHY") ?? 0);
  const title = `${bad > 0 ? `(${bad}!) ` : ""}supervice on ${location.host}`;
  if (document.title !== title) document.title = title;
}

function tell(error) {
  if (lostSince !== undefined) return;
  // Where there is no connection, the stream is begun anew until there is one.
  if (error instanceof Unreachable) ending.abort(error);
  else toast(error instanceof Refused ? error.message : `This page has a fault: ${error.message}`, "error");
}

// --- What programs use

let looking;

// Looks now, and from then on again and again.
function look() {
  clearTimeout(looking);
  looking = setTimeout(lookAgain, LOOK_MS(model.programs.size));
  if (document.hidden || lostSince !== undefined) return;
  get("usage").then(({ processes }) => {
    model.lookAll(processes);
    render(() => table.drawUsage());
    view.drawUsage();
  }).catch(tell);
}

function lookAgain() {
  const isOld = performance.now() - wholeStatusAt > WHOLE_STATUS_MS;
  if (isOld && !document.hidden && lostSince === undefined) askForAll().catch(tell);
  look();
}

setInterval(() => {
  if (document.hidden || lostSince !== undefined) return;
  table.tick();
  view.update();
}, 1000);

setInterval(() => {
  if (!document.hidden && lostSince === undefined) view.freshen();
}, WHY_MS);

// --- What is done

// Does something and says what the daemon has answered to it.
async function perform(request, what) {
  try {
    const answer = await command(request);
    tellAnswer(answer, what);
  } catch (error) {
    toast(`${what}: ${error.message}`, "error");
  }
  askForAll().catch(tell);
}

function tellAnswer(answer, what) {
  if (!answer.results) return toast(answer.message || `${what}: done`);
  const failed = answer.results.filter((result) => result.status !== "ok");
  if (failed.length > 0) {
    const done = answer.results.length - failed.length;
    return toast(`${what}: ${failed.length} failed, ${done} done`, "error", failed.map((result) => `${result.name}: ${result.message}`));
  }
  const also = answer.also?.length > 0 ? `, and with them ${answer.also.join(", ")}` : "";
  return toast(`${what}: ${plural(answer.results.length, "program", "programs")} done${also}`);
}

const WORDS = { start: "Start", stop: "Stop", restart: "Restart", reload: "Reload", signal: "Signal", kill: "Kill", pause: "Pause", resume: "Resume" };

function act(verb, program, more = {}) {
  const request = { command: verb === "reload" ? "reloadprocess" : verb, name: program.name, ...more };
  return perform(request, `${WORDS[verb]} ${program.name}`);
}

async function actOnGroup(verb, group, names) {
  const count = plural(names.length, "program", "programs");
  const words = { stop: "be stopped, and stay down until they are started again.", restart: "be stopped and started again." };
  const isMeant = verb === "start" || (await confirmed(`${WORDS[verb]} all of ${group}?`, `${count} will ${words[verb]}`, `${WORDS[verb]} all`));
  if (isMeant) perform({ command: verb, names }, `${WORDS[verb]} all of ${group}`);
}

const DAEMON_ACTS = {
  reread: () => reread(),
  update: () => update(),
  reload: () => perform({ command: "reload" }, "Reload"),
  "start-all": () => actOnAll("start", (program) => isDown(program.state)),
  "restart-all": async () => {
    const count = plural(model.programs.size, "program", "programs");
    if (await confirmed("Restart all programs?", `${count} will be stopped and started again.`, "Restart all")) actOnAll("restart", () => true);
  },
  "stop-all": async () => {
    const running = [...model.all()].filter((program) => !isDown(program.state)).length;
    const text = `${plural(running, "program", "programs")} will be stopped, and stay down until they are started again.`;
    if (await confirmed("Stop all programs?", text, "Stop all")) actOnAll("stop", () => true);
  },
  shutdown: async () => {
    const text = "All programs are stopped and the daemon ends. This page can't start it again.";
    if (await confirmed("Shut the daemon down?", text, "Shut down")) perform({ command: "shutdown" }, "Shutdown");
  },
};

function actOnAll(verb, isMeant) {
  const names = [...model.all()].filter((program) => isMeant(program) && mayAct(verb, program.name)).map((program) => program.name);
  if (names.length === 0) return toast(`${WORDS[verb]} all: there is nothing to ${verb}`);
  return perform({ command: verb, names }, `${WORDS[verb]} all`);
}

// What the file would change, in lines.
async function reread() {
  try {
    const found = await command({ command: "reread" });
    const lines = [
      ...found.added.map((name) => `${name} would be added`),
      ...found.removed.map((name) => `${name} would be stopped and removed`),
      ...Object.entries(found.changed).map(([name, keys]) => `${name} would change: ${keys.map((change) => change.key).join(", ")}`),
      ...found.warnings,
    ];
    toast(lines.length === 0 ? "An update would change nothing." : "An update would change this:", "note", lines);
  } catch (error) {
    toast(`The configuration can't be read: ${error.message}`, "error");
  }
}

async function update() {
  try {
    const done = await command({ command: "update" });
    const words = { added: "added", removed: "removed", changed: "changed", restarted: "restarted", from_next_run: "changed from the next run on" };
    const lines = Object.entries(words).filter(([key]) => done[key]?.length > 0).map(([key, word]) => `${word}: ${done[key].join(", ")}`);
    toast(lines.length === 0 ? "Updated: nothing has changed." : "Updated.", "done", lines);
  } catch (error) {
    toast(`Update: ${error.message}`, "error");
  }
  askForAll().catch(tell);
}

byId("daemon-menu").addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  byId("daemon-menu").open = false;
  byId("daemon-menu").firstElementChild.focus();
  DAEMON_ACTS[button.dataset.act]();
});

// --- Where we are

// `#/program/NAME/TAB`, `#/graph`, `#/`.
function route() {
  const [where, name, tab] = location.hash.replace(/^#\/?/, "").split("/").map(decodePart);
  if (where === "graph") showGraph(true);
  else if (where !== "program") showGraph(false);
  if (where === "program" && name) {
    const isNew = view.show(name, tab);
    document.body.classList.add("with-program");
    table.select(name);
    if (isNew) byId("program-name").focus({ preventScroll: true });
    return;
  }
  const last = view.name;
  if (last === undefined) return;
  view.hide();
  document.body.classList.remove("with-program");
  table.select(undefined);
  if (where !== "graph") table.focus(last);
}

function decodePart(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function showGraph(isGraph) {
  const wasGraph = graphIsShown();
  graph.element.hidden = !isGraph;
  byId("programs").hidden = isGraph;
  for (const [id, isIt] of [["view-programs", !isGraph], ["view-graph", isGraph]]) {
    if (isIt) byId(id).setAttribute("aria-current", "page");
    else byId(id).removeAttribute("aria-current");
  }
  if (isGraph && !wasGraph) graph.show().catch(tell);
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, dialog");
  const menu = byId("daemon-menu");
  if (event.key === "Escape" && menu.open) {
    menu.open = false;
    menu.firstElementChild.focus();
  } else if (event.key === "Escape" && event.target === byId("filter")) {
    table.clearFilter();
  } else if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    location.hash = "#/";
    byId("filter").focus();
  }
});
document.addEventListener("click", (event) => {
  if (!event.target.closest("#daemon-menu")) byId("daemon-menu").open = false;
});

addEventListener("hashchange", route);
setText(byId("host"), location.host);
route();
stayConnected();
