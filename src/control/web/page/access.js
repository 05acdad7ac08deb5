// What the caller may do. What he may not is not offered; the daemon refuses it all the same.

import { command, Refused } from "./daemon.js";

// Without rules everybody may do everything, and a daemon that knows of none does not know the question either.
const EVERYTHING = () => true;

let may = EVERYTHING;

export async function learnAccess() {
  try {
    may = reader(await command({ command: "access" }));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    may = EVERYTHING;
  }
}

function reader({ unlimited, daemon, programs }) {
  if (unlimited !== null) return EVERYTHING;
  const byName = new Map(programs.map(({ name, rights }) => [name, new Set(rights)]));
  const own = new Set(daemon);
  return (right, name) => (name === undefined ? own : byName.get(name))?.has(right) ?? false;
}

// The right that something needs, where it is not called the same.
const RIGHTS = { kill: "stop", pause: "signal", resume: "signal", log: "logs", reread: "reload", update: "reload", shutdown: "admin" };

// Whether this may be done: to a program, or to the daemon.
export const mayAct = (verb, name) => may(RIGHTS[verb] ?? verb, name);
