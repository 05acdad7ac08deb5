// What is known of the programs: their last status, what has happened since, and what they have used for some minutes.

import { serverNow } from "./daemon.js";

// Samples that are kept of each program.
export const KEPT_SAMPLES = 150;

// In the order of urgency.
export const STATES = ["FATAL", "UNHEALTHY", "BACKOFF", "STARTING", "STOPPING", "RUNNING", "EXITED", "STOPPED"];

export const isUp = (state) => state === "RUNNING" || state === "UNHEALTHY";
export const isDown = (state) => state === "STOPPED" || state === "EXITED" || state === "FATAL";

export class Program {
  constructor(row, place) {
    this.cpuSamples = [];
    this.memorySamples = [];
    this.take(row, place);
  }

  // What the daemon tells of it now.
  take(row, place) {
    if (row.pid !== this.pid) this.forgetUsage();
    Object.assign(this, EMPTY, row);
    if (place !== undefined) this.place = place;
    this.startedAt = row.uptime === undefined ? undefined : serverNow() - row.uptime;
    // A program in no group forms its own.
    this.isGrouped = row.group !== undefined && row.group !== row.name;
  }

  // A transition: what it tells, before the daemon is asked for the rest.
  move(event) {
    const pid = event.pid ?? undefined;
    const ended = isDown(event.to_state) || event.to_state === "BACKOFF";
    if (isUp(event.to_state) && !isUp(this.state) && this.startedAt === undefined) this.startedAt = event.time;
    if (ended) this.startedAt = undefined;
    this.state = event.to_state;
    this.pid = ended ? undefined : pid ?? this.pid;
    if (ended || event.to_state === "STARTING") this.forgetUsage();
    this.description = event.cause ?? "";
    this.since = event.time;
  }

  forgetUsage() {
    this.cpu = undefined;
    this.memory = undefined;
    this.lastLook = undefined;
  }

  // A look at what it uses; none is a hole in its lines.
  look(used) {
    if (used && used.pid === this.pid) {
      const last = this.lastLook;
      if (last && used.at > last.at) this.cpu = Math.max(0, (100 * (used.cpu - last.cpu)) / (used.at - last.at));
      this.lastLook = used;
      this.memory = used.memory;
    } else {
      this.forgetUsage();
    }
    push(this.cpuSamples, this.cpu);
    push(this.memorySamples, this.memory);
  }

  ranFor() {
    return this.startedAt === undefined ? undefined : Math.max(0, serverNow() - this.startedAt);
  }

  // What is to be known beside its state: what it waits for, why it is down. Of one that runs well the daemon tells what stands
  // in the table anyway.
  note() {
    if (this.status_text) return this.status_text;
    if (this.state === "RUNNING" && !this.paused && this.ready !== false) return "";
    return this.description ?? "";
  }

  // Its state, and whether it stands still: a pause is what somebody has asked for.
  stateWord() {
    if (!this.paused) return this.state;
    return `${this.state}, ${this.pause_requested ? "paused" : "stopped by signal"}`;
  }

  healthWord() {
    if (this.healthy === undefined || this.healthy === null) return "";
    return this.healthy ? "healthy" : "unhealthy";
  }
}

// Members that a status may lack.
const EMPTY = {
  pid: undefined, uptime: undefined, healthy: undefined, group: undefined, description: undefined, exit_code: undefined,
  exit_signal: undefined, kill_at: undefined, retry_at: undefined, paused: undefined, pause_requested: undefined, ready: undefined, completed: undefined,
  waiting_for: [], waiting_for_more: 0, hook: undefined, status_text: undefined,
};

function push(samples, value) {
  samples.push(value);
  if (samples.length > KEPT_SAMPLES) samples.shift();
}

// All programs, in the order of the configuration.
export class Model {
  constructor() {
    this.programs = new Map();
    // The daemon has told which there are.
    this.isKnown = false;
  }

  get(name) {
    return this.programs.get(name);
  }

  all() {
    return this.programs.values();
  }

  // The whole status. Whether programs have come, gone or changed places.
  takeAll(rows) {
    const before = [...this.programs.values()].map((program) => `${program.name}\n${program.group}`).join("\n\n");
    const next = new Map();
    rows.forEach((row, place) => {
      row.pid ??= undefined;
      const known = this.programs.get(row.name);
      if (known) known.take(row, place);
      next.set(row.name, known ?? new Program(row, place));
    });
    this.programs = next;
    this.isKnown = true;
    return rows.map((row) => `${row.name}\n${row.group}`).join("\n\n") !== before;
  }

  // The status of one; false: it is not known here.
  take(row) {
    row.pid ??= undefined;
    const known = this.programs.get(row.name);
    known?.take(row);
    return known !== undefined;
  }

  // The names of those that wait for one of these: the daemon tells no event of them.
  waitingFor(names) {
    const waits = (program) => program.waiting_for.some((awaited) => names.has(awaited.name));
    return [...this.programs.values()].filter(waits).map((program) => program.name);
  }

  lookAll(used) {
    const byName = new Map(used.map((one) => [one.name, one]));
    for (const program of this.programs.values()) program.look(byName.get(program.name));
  }

  counts() {
    const counts = new Map();
    for (const { state } of this.programs.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
    return counts;
  }
}
