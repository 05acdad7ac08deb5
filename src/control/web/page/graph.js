// Who needs whom, drawn: what is needed stands to the left of what needs it.

import { allPages } from "./daemon.js";
import { byId, el, plural, setAttribute, setText, svg } from "./elements.js";

const NODE = { width: 168, height: 40, across: 232, down: 54, gap: 20, margin: 14 };

// How often the places in a column are improved.
const SWEEPS = 6;

// The longest name that fits.
const LETTERS = 20;

export class Graph {
  constructor(model) {
    this.model = model;
    this.element = byId("graph");
    this.nodes = new Map();
  }

  async show() {
    const rows = await allPages("graph");
    this.draw(rows);
  }

  draw(rows) {
    const known = new Map(rows.map((row) => [row.name, row]));
    const edges = rows.flatMap((row) => row.needs.filter((need) => known.has(need.on)).map((need) => ({ ...need, by: row.name })));
    const tied = new Set(edges.flatMap((edge) => [edge.on, edge.by]));
    const names = [...known.keys()].filter((name) => tied.has(name));
    const plan = layOutAll(names, edges);
    this.nodes.clear();
    this.edges = edges.map((edge) => ({ edge, path: drawEdge(edge, plan) }));
    for (const name of names) this.nodes.set(name, drawNode(name, plan.places.get(name)));
    for (const { edge } of this.edges) this.nodes.get(edge.by).needs.push(edge);
    this.element.replaceChildren();
    if (edges.length === 0) {
      this.element.append(el("div.empty", {}, el("p", {}, "No program needs another."),
        el("p.muted", {}, "Programs that need others say so by the keys requires, wants, binds or after.")));
      return;
    }
    const picture = svg("svg.graph", { viewBox: `0 0 ${plan.width} ${plan.height}`, width: plan.width, height: plan.height, role: "group", "aria-label": "Dependencies" },
      svg("defs", {}, arrow("arrow"), arrow("arrow-open")),
      ...this.edges.map(({ path }) => path), ...[...this.nodes.values()].map(({ element }) => element));
    const loose = rows.length - tied.size;
    this.element.append(legend(), el("div.picture", { tabindex: "0", role: "region", "aria-label": "The drawn dependencies; it can be scrolled" }, picture),
      loose > 0 ? el("p.muted", {}, `${plural(loose, "program stands", "programs stand")} alone and ${loose === 1 ? "is" : "are"} not drawn.`) : "");
    this.updateAll();
  }

  updateAll() {
    for (const name of this.nodes.keys()) this.update(name);
  }

  // The state of one as it is now; whether a need holds is asked for when something has happened.
  update(name) {
    const node = this.nodes.get(name);
    const program = this.model.get(name);
    if (!node || !program) return;
    setText(node.state, program.state);
    setAttribute(node.box, "data-state", program.state);
    setAttribute(node.element, "aria-label", `${name}, ${program.state}${inWords(node.needs)}`);
  }

  takeHolds(rows) {
    const holds = new Map(rows.flatMap((row) => row.needs.map((need) => [`${row.name}\n${need.on}\n${need.kind}`, need.holds])));
    for (const { edge, path } of this.edges ?? []) {
      const now = holds.get(`${edge.by}\n${edge.on}\n${edge.kind}`) ?? edge.holds;
      edge.holds = now;
      setAttribute(path, "data-holds", String(now));
      setAttribute(path, "marker-end", now ? "url(#arrow)" : "url(#arrow-open)");
    }
    this.updateAll();
  }
}

function inWords(needs) {
  const words = needs.map((edge) => `${edge.kind} ${edge.on} ${edge.condition}${edge.holds ? "" : ", which does not hold"}`);
  return words.length > 0 ? `: ${words.join("; ")}` : "";
}

function arrow(id) {
  return svg("marker", { id, viewBox: "0 0 8 8", refX: "7", refY: "4", markerWidth: "9", markerHeight: "9", markerUnits: "userSpaceOnUse", orient: "auto" },
    svg("path", { d: "M0 0L8 4L0 8Z" }));
}

function legend() {
  const line = (kind, holds, text) => el("li", {}, svg("svg", { width: 34, height: 10, "aria-hidden": "true" },
    svg("path.edge", { d: "M1 5H33", "data-kind": kind, "data-holds": holds })), text);
  return el("ul.legend", {}, line("requires", "true", "requires, binds"), line("wants", "true", "wants"), line("after", "true", "after"), line("requires", "false", "does not hold now"));
}

function drawEdge(edge, { places, ways }) {
  const [from, to] = [places.get(edge.on), places.get(edge.by)];
  let [x, y] = [from.x + NODE.width, from.y + NODE.height / 2];
  let d = `M${x} ${y}`;
  const bendTo = (nextX, nextY) => {
    const middle = (x + nextX) / 2;
    d += `C${middle} ${y} ${middle} ${nextY} ${nextX} ${nextY}`;
  };
  // Past the columns between: through a gap of its own in each.
  for (const bend of ways.get(edge)) {
    const place = places.get(bend);
    bendTo(place.x, place.y);
    [x, y] = [place.x + NODE.width, place.y];
    d += `H${x}`;
  }
  bendTo(to.x - 2, to.y + NODE.height / 2);
  const marker = edge.holds ? "url(#arrow)" : "url(#arrow-open)";
  return svg("path.edge", { d, "data-kind": edge.kind, "data-holds": String(edge.holds), "marker-end": marker },
    svg("title", {}, `${edge.by} ${edge.kind} ${edge.on} (${edge.condition})${edge.holds ? "" : ": does not hold"}`));
}

function drawNode(name, { x, y }) {
  const shown = name.length > LETTERS ? `${name.slice(0, LETTERS - 1)}…` : name;
  const box = svg("rect", { width: NODE.width, height: NODE.height, rx: 8 });
  const state = svg("text.node-state", { x: 14, y: 31 });
  const element = svg("a.node", { href: `#/program/${encodeURIComponent(name)}`, transform: `translate(${x} ${y})` },
    svg("title", {}, name), box, svg("text.node-name", { x: 14, y: 16 }, shown), state);
  return { element, box, state, needs: [] };
}

// Those that are tied to each other together, one such part below the other.
function layOutAll(names, edges) {
  const whole = { places: new Map(), ways: new Map(), width: 0, height: 0 };
  for (const part of partsOf(names, edges)) {
    const { places, ways, width, height } = layOut(part.names, part.edges);
    for (const [one, { x, y }] of places) whole.places.set(one, { x, y: y + whole.height });
    for (const [edge, way] of ways) whole.ways.set(edge, way);
    whole.width = Math.max(whole.width, width);
    whole.height += height - NODE.margin;
  }
  whole.height += NODE.margin;
  return whole;
}

function partsOf(names, edges) {
  const leaders = new Map(names.map((name) => [name, name]));
  const leaderOf = (name) => {
    while (leaders.get(name) !== name) {
      leaders.set(name, leaders.get(leaders.get(name)));
      name = leaders.get(name);
    }
    return name;
  };
  for (const { on, by } of edges) leaders.set(leaderOf(by), leaderOf(on));
  const parts = new Map();
  const partOf = (name) => {
    const leader = leaderOf(name);
    if (!parts.has(leader)) parts.set(leader, { names: [], edges: [] });
    return parts.get(leader);
  };
  for (const name of names) partOf(name).names.push(name);
  for (const edge of edges) partOf(edge.by).edges.push(edge);
  return parts.values();
}

// Columns by the longest way from what needs nothing; in each, near what it is tied to.
function layOut(names, edges) {
  const depths = depthsOf(names, edges);
  const columns = [];
  for (const name of names) (columns[depths.get(name)] ??= []).push(name);
  const ties = { before: new Map(), behind: new Map() };
  const tie = (one, other) => {
    push(ties.behind, one, other);
    push(ties.before, other, one);
  };
  // A need that passes columns bends in each of them; a bend has a place, as a program has.
  const ways = new Map();
  for (const edge of edges) {
    const way = [];
    for (let at = depths.get(edge.on) + 1; at < depths.get(edge.by); at += 1) {
      const bend = { edge, at };
      columns[at].push(bend);
      way.push(bend);
    }
    ways.set(edge, way);
    [edge.on, ...way, edge.by].reduce((one, other) => (tie(one, other), other));
  }
  improve(columns, ties);
  const heightOf = (one) => (typeof one === "string" ? NODE.down : NODE.gap);
  const heights = columns.map((column) => column.reduce((sum, one) => sum + heightOf(one), 0));
  const tallest = Math.max(NODE.down, ...heights);
  const places = new Map();
  columns.forEach((column, across) => {
    let y = NODE.margin + (tallest - heights[across]) / 2;
    for (const one of column) {
      const half = typeof one === "string" ? (NODE.down - NODE.height) / 2 : NODE.gap / 2;
      places.set(one, { x: NODE.margin + across * NODE.across, y: y + half });
      y += heightOf(one);
    }
  });
  const width = 2 * NODE.margin + (columns.length - 1) * NODE.across + NODE.width;
  return { places, ways, width, height: 2 * NODE.margin + tallest };
}

function push(lists, key, value) {
  if (lists.has(key)) lists.get(key).push(value);
  else lists.set(key, [value]);
}

function depthsOf(names, edges) {
  const needs = new Map();
  for (const { on, by } of edges) push(needs, by, on);
  const depths = new Map();
  // The daemon takes no circles; what would be one is cut here all the same.
  const depth = (name, above) => {
    if (depths.has(name)) return depths.get(name);
    if (above.has(name)) return 0;
    above.add(name);
    const found = Math.max(-1, ...(needs.get(name) ?? []).map((other) => depth(other, above))) + 1;
    above.delete(name);
    depths.set(name, found);
    return found;
  };
  for (const name of names) depth(name, new Set());
  return depths;
}

// Sorts each column by the middle of what it is tied to in the one before, and the one behind, in turns.
function improve(columns, ties) {
  const rank = new Map();
  const number = (column) => column.forEach((one, at) => rank.set(one, at - column.length / 2));
  columns.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isForth = sweep % 2 === 0;
    const lists = isForth ? ties.before : ties.behind;
    for (const column of isForth ? columns : columns.toReversed()) {
      const middles = new Map(column.map((one) => {
        const others = lists.get(one) ?? [];
        return [one, others.length === 0 ? rank.get(one) : others.reduce((sum, other) => sum + rank.get(other), 0) / others.length];
      }));
      column.sort((one, other) => middles.get(one) - middles.get(other));
      number(column);
    }
  }
}
