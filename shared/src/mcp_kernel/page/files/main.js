// The page: which server, which item, and what the keyboard does.

import { Catalog, nameOf } from "./catalog.js";
import { Connection } from "./connection.js";
import { button, el, fill } from "./dom.js";
import { write } from "./json.js";
import { Log } from "./log.js";
import { overview } from "./overview.js";
import { promptPane, resourcePane, templatePane, toolPane } from "./panes.js";
import { Questions } from "./questions.js";

const MOST_PANES = 60; // that keep what was filled in
const PANES = { tool: toolPane, resource: resourcePane, template: templatePane, prompt: promptPane };
const LISTS = { tool: "tools", resource: "resources", template: "templates", prompt: "prompts" };
const KEYS = [["/", "narrow the list"], ["↑ ↓ Enter", "move in the list, open"], ["Ctrl+Enter", "call"], ["Ctrl+.", "cancel the call"], ["w", "show or hide the wire"], ["t", "light or dark"], ["?", "this help"]];

const at = (id) => document.getElementById(id);
const panes = new Map();
let connections = [];
let current = null; // the connection that is looked at
let pane = null;

const log = new Log(at("log"), at("wire-bar"));
const catalog = new Catalog(at("catalog"), at("filter"), (kind, name) => go(current.name, kind, name), (name) => go(name));
const questions = new Questions(at("dialog"));

// --- where one is: in the address, so that it can be kept; arguments and tokens never are ---

function go(server, kind, name) {
  location.hash = ["", server, kind, name].filter((part) => part !== undefined).map(encodeURIComponent).join("/");
}

function arrive() {
  const [, server, kind, name] = location.hash.slice(1).split("/").map(decode);
  const next = connections.find((each) => each.name === server) ?? current ?? connections[0];
  if (!next) return;
  if (next !== current) enter(next);
  show(kind in PANES ? kind : undefined, name);
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

function enter(connection) {
  current?.watch(false);
  current = connection;
  log.show(connection.journal);
  connection.watch(!document.hidden);
  if (connection.state === "closed") connection.open();
}

function show(kind, name) {
  const item = kind && current.lists[LISTS[kind]].find((each) => nameOf(kind, each) === name);
  const readable = kind === "resource" && name ? (item ?? { uri: name }) : item; // a link may lead to what is in no list
  const key = readable ? `${kind} ${name}` : "";
  const known = panes.get(`${current.name} ${key}`);
  const fresh = !known || (readable && write(known.item) !== write(readable));
  if (fresh) {
    const follow = (uri) => go(current.name, "resource", uri);
    const made = readable ? PANES[kind](current, readable, follow) : overview(current);
    keep(`${current.name} ${key}`, { ...made, item: readable });
  }
  const next = panes.get(`${current.name} ${key}`);
  if (pane !== next) {
    pane = next;
    fill(at("work"), pane.element);
    at("work").scrollTop = 0;
    if (fresh && current.state === "open") pane.shown?.();
    if (key || document.body.dataset.view === "work") turn("work");
    if (arrived && key) pane.focus?.();
  }
  document.title = `${name ?? current.title} · Console`;
  catalog.show(connections, current, key);
  drawState();
}

let arrived = false;

function keep(key, made) {
  panes.delete(key);
  panes.set(key, made);
  if (panes.size > MOST_PANES) panes.delete(panes.keys().next().value);
}

function drawState() {
  const { state, peer } = current;
  const words = state === "open" ? peer.revision : state;
  fill(at("state"), el("span", { class: `dot ${state}` }), el("strong", {}, current.title), el("span", { class: "dim" }, words));
}

// --- the frame ---

function turn(view) {
  document.body.dataset.view = view;
  for (const each of at("views").children) each.setAttribute("aria-pressed", String(each.dataset.view === view));
}

function toggleWire() {
  const hidden = document.body.toggleAttribute("data-wireless");
  at("toggle-wire").setAttribute("aria-pressed", String(!hidden));
}

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

function help() {
  const dialog = at("help");
  fill(dialog, el("header", {}, el("h2", {}, "Keys")), el("dl", { class: "keys" }, KEYS.map(([key, what]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)))),
    el("footer", {}, button("Close", () => dialog.close(), { class: "primary" })));
  dialog.showModal();
}

const PLAIN = { "/": () => { turn("list"); at("filter").focus(); at("filter").select(); }, w: toggleWire, t: toggleTheme, "?": help };

document.addEventListener("keydown", (event) => {
  const held = event.ctrlKey || event.metaKey;
  if (document.querySelector("dialog[open]")) {
    if (held && event.key === "Enter") document.querySelector("dialog[open] footer .primary")?.click();
    return;
  }
  if (held && event.key === "Enter") {
    event.preventDefault();
    pane?.run?.run();
  } else if (held && event.key === ".") {
    pane?.run?.cancel();
  } else if (!held && !event.altKey && PLAIN[event.key] && !event.target.closest("input, textarea, select")) {
    event.preventDefault();
    PLAIN[event.key]();
  }
});

at("views").addEventListener("click", ({ target }) => target.dataset.view && turn(target.dataset.view));
at("toggle-wire").addEventListener("click", toggleWire);
at("toggle-theme").addEventListener("click", toggleTheme);
at("show-help").addEventListener("click", help);
at("state").addEventListener("click", () => go(current.name));
at("skip").addEventListener("click", (event) => {
  event.preventDefault();
  at("work").focus();
});
addEventListener("hashchange", arrive);
document.addEventListener("visibilitychange", () => current?.watch(!document.hidden));

async function start() {
  turn("list");
  try {
    const answer = await fetch("servers.json", { cache: "no-store", credentials: "omit" });
    if (!answer.ok) throw new Error(`the list of servers could not be had: HTTP ${answer.status}`);
    connections = (await answer.json()).map((listed) => new Connection(listed, questions));
  } catch (error) {
    fill(at("work"), el("p", { class: "misfit", role: "alert" }, error.message));
    return;
  }
  for (const each of connections) {
    const redraw = () => {
      if (each !== current) return catalog.draw();
      const [, , kind, name] = location.hash.slice(1).split("/").map(decode);
      return show(kind in PANES ? kind : undefined, name);
    };
    each.addEventListener("state", redraw);
    each.addEventListener("list", redraw);
  }
  arrive();
  arrived = true;
}

start();
