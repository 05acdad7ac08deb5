// What is asked of the daemon: questions, commands, and streams of server-sent events. Paths are relative: a proxy may have
// put us below a path of its own.

// Without the name and password that may stand in the address: they are sent anyway, and a request that names them is refused.
const API = new URL("api/v1/", location.origin + location.pathname);

// For an answer that changes nothing.
const PATIENCE_MS = 15000;

export class Refused extends Error {
  constructor(status, answer) {
    super(answer.message || `the daemon has answered ${status}`);
    this.status = status;
    this.code = answer.code;
    this.answer = answer;
  }
}

// No answer at all.
export class Unreachable extends Error {}

// Milliseconds by which the daemon's clock is ahead of ours; a second is all that it tells.
let ahead = 0;

export const serverNow = () => (Date.now() + ahead) / 1000;

async function read(response) {
  const date = Date.parse(response.headers.get("date"));
  if (Number.isFinite(date) && Math.abs(date - Date.now() - ahead) > 1500) ahead = date - Date.now();
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = { status: "error", message: text.trim().slice(0, 500) };
  }
  if (!response.ok || answer.status !== "ok") throw new Refused(response.status, answer);
  return answer;
}

async function reach(path, options) {
  try {
    return await fetch(new URL(path, API), { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "TimeoutError") throw new Unreachable("the daemon does not answer", { cause: error });
    // Who has ended it has said why.
    if (options.signal?.aborted) throw options.signal.reason;
    throw new Unreachable("the daemon can't be reached", { cause: error });
  }
}

export async function get(path) {
  const options = { headers: { accept: "application/json" }, signal: AbortSignal.timeout(PATIENCE_MS) };
  return read(await reach(path, options));
}

export async function command(request) {
  const headers = { "content-type": "application/json", accept: "application/json" };
  return read(await reach("command", { method: "POST", headers, body: JSON.stringify(request) }));
}

export const programPath = (name) => `programs/${encodeURIComponent(name)}`;

// The rows of an answer in pages: each request asks for what the last one has left out.
export async function allPages(path) {
  const rows = [];
  let offset = 0;
  do {
    const page = await get(`${path}?offset=${offset}`);
    rows.push(...page.processes);
    offset = page.next;
  } while (offset);
  return rows;
}

// Calls `take(type, data)` for each event until the stream ends; `begun` when it is there. By fetch and not EventSource, which
// does not tell why it was refused.
export async function stream(path, signal, begun, take) {
  const response = await reach(path, { headers: { accept: "text/event-stream" }, signal });
  if (!response.ok) await read(response);
  begun();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      let [type, data] = ["message", ""];
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) type = line.slice(7);
        else if (line.startsWith("data: ")) data += line.slice(6);
      }
      if (data) take(type, JSON.parse(data));
    }
  }
}
