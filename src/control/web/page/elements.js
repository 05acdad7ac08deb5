// Elements, and words for numbers. Text from the daemon goes in as text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

// `el("p.muted", {title: "…"}, "text", child)`; a property that begins with "on" is a listener.
export function el(kind, properties, ...children) {
  const [tag, ...classes] = kind.split(".");
  return fill(document.createElement(tag), classes, properties, children);
}

export function svg(kind, properties, ...children) {
  const [tag, ...classes] = kind.split(".");
  return fill(document.createElementNS(SVG, tag), classes, properties, children);
}

function fill(element, classes, properties, children) {
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

export const byId = (id) => document.getElementById(id);

// Writes only what has changed: whatever is written is laid out anew, and asking an element what it says takes longer than to
// remember it.
const written = new WeakMap();

export function setText(element, text) {
  if (!isNews(element, "", text)) return;
  element.textContent = text;
}

export function setAttribute(element, name, value) {
  const isNone = value === undefined || value === null || value === false;
  if (!isNews(element, name, isNone ? undefined : String(value))) return;
  if (isNone) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : value);
}

function isNews(element, key, value) {
  let known = written.get(element);
  if (!known) written.set(element, (known = new Map()));
  if (known.has(key) && known.get(key) === value) return false;
  known.set(key, value);
  return true;
}

// Writes something; how long that takes can be seen in the browser's tools.
export function render(work) {
  const begin = performance.now();
  work();
  performance.measure("render", { start: begin, end: performance.now() });
  measured += 1;
  if (measured % 1000 === 0) performance.clearMeasures("render");
}
let measured = 0;

export function duration(seconds) {
  if (seconds < 0.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  const s = Math.floor(seconds + 0.05);
  if (s < 60) return `${s} s`;
  const [m, h, d] = [Math.floor(s / 60), Math.floor(s / 3600), Math.floor(s / 86400)];
  if (m < 60) return `${m} min ${s % 60} s`;
  if (h < 24) return `${h} h ${m % 60} min`;
  return `${d} d ${h % 24} h`;
}

export function bytes(count) {
  if (count === undefined) return "";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) [count, unit] = [count / 1024, unit + 1];
  return `${unit === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)} ${units[unit]}`;
}

export function percent(share) {
  if (share === undefined) return "";
  return share < 9.95 ? `${share.toFixed(1)} %` : `${Math.round(share)} %`;
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

// A moment in seconds since 1970: with the day where it is not today.
export function moment(seconds) {
  const at = new Date(seconds * 1000);
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? TIME.format(at) : `${DAY.format(at)}, ${TIME.format(at)}`;
}

export const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

// The state with its colour and its word.
export function stateBadge(state) {
  return el("span.state", { "data-state": state }, state);
}

// A line of values; undefined is a hole. `top` is what reaches the upper edge at least.
export function sparkPath(values, width, height, top) {
  const most = Math.max(top, ...values.filter((value) => value !== undefined));
  const step = width / Math.max(1, values.length - 1);
  let path = "";
  let pen = "M";
  values.forEach((value, index) => {
    if (value === undefined) {
      pen = "M";
      return;
    }
    path += `${pen}${(index * step).toFixed(1)} ${(height - 1 - (value / most) * (height - 2)).toFixed(1)}`;
    pen = "L";
  });
  return path;
}

// What the daemon has answered, where everybody sees it. An error stays until it is dismissed.
export function toast(text, kind = "done", details = []) {
  const box = el(`div.toast.${kind}`, { role: kind === "error" ? "alert" : "status" }, el("p", {}, text));
  if (details.length > 0) box.append(el("ul", {}, ...details.map((line) => el("li", {}, line))));
  const close = () => box.remove();
  box.append(el("button.close", { type: "button", "aria-label": "Dismiss this message", onclick: close }, "×"));
  byId("toasts").append(box);
  while (byId("toasts").children.length > 6) byId("toasts").firstElementChild.remove();
  if (kind !== "error" && details.length === 0) setTimeout(close, 6000);
}

// Says something to who does not look.
export function announce(text) {
  setText(byId("live"), text);
}

// Asks before something that reaches far; whether it is meant.
export function confirmed(title, text, yes) {
  const dialog = byId("confirm");
  setText(byId("confirm-title"), title);
  setText(byId("confirm-text"), text);
  setText(byId("confirm-yes"), yes);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
