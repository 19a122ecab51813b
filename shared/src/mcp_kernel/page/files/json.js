// A JSON value as a tree that is opened where one looks; what is not open is not made.

import { button, copier, el, put } from "./dom.js";

const CHUNK = 100; // members that are shown at once
const LONGEST = 300; // characters of a text that are shown at once
const BUDGET = 400; // rows that are open from the start
const DEEPEST = 4; // levels that are open from the start

/** A value as JSON; of one that is nested too deep to be written, a word. */
export function write(value, indent) {
  try {
    return JSON.stringify(value, null, indent) ?? "";
  } catch {
    return "(nested too deep)";
  }
}

/** Show a value. */
export function tree(value, { open = DEEPEST, copy = true } = {}) {
  const budget = { rows: BUDGET };
  return el("div", { class: "json" }, copy ? copier(() => write(value, 2), "Copy as JSON") : null, node(null, value, open, budget));
}

function node(name, value, open, budget) {
  budget.rows -= 1;
  const label = name === null ? null : [el("span", { class: "key" }, String(name)), ": "];
  if (typeof value !== "object" || value === null) return el("div", { class: "leaf" }, label, leaf(value));
  const list = Array.isArray(value);
  const names = list ? value : Object.keys(value);
  if (names.length === 0) return el("div", { class: "leaf" }, label, el("span", { class: "dim" }, list ? "[]" : "{}"));
  const count = el("span", { class: "dim" }, list ? `[${names.length}]` : `{${names.length}}`);
  const brief = el("span", { class: "brief" }, summary(value, list));
  const details = el("details", {}, el("summary", {}, label, count, brief));
  let made = false;
  const fillIn = (deeper) => {
    if (made) return;
    made = true;
    grow(details, value, list ? value.map((_, at) => at) : names, 0, deeper, budget);
  };
  details.addEventListener("toggle", () => details.open && fillIn(0));
  if (open > 0 && budget.rows > 0) {
    fillIn(open - 1);
    details.open = true;
  }
  return details;
}

function grow(details, value, names, from, open, budget) {
  put(details, names.slice(from, from + CHUNK).map((name) => node(name, value[name], open, budget)));
  const left = names.length - from - CHUNK;
  if (left <= 0) return;
  const more = button(`${left} more`, () => {
    more.remove();
    grow(details, value, names, from + CHUNK, 0, budget);
  }, { class: "quiet" });
  details.append(more);
}

function leaf(value) {
  if (typeof value !== "string") return el("span", { class: value === null ? "null" : typeof value }, String(value));
  if (value.length <= LONGEST) return el("span", { class: "string" }, JSON.stringify(value));
  const shown = el("span", { class: "string" }, JSON.stringify(value.slice(0, LONGEST)));
  const more = button(`… ${value.length - LONGEST} characters more`, () => {
    shown.textContent = "";
    put(shown, JSON.stringify(value.slice(0, LONGEST * 1000)), value.length > LONGEST * 1000 ? " …" : "");
    more.remove();
  }, { class: "quiet" });
  return el("span", {}, shown, more);
}

/** What a closed node holds, in half a line. */
function summary(value, list) {
  const parts = (list ? value.slice(0, 4) : Object.entries(value).slice(0, 4)).map((each) => {
    const [name, inner] = list ? [null, each] : each;
    const short = typeof inner === "object" && inner !== null ? (Array.isArray(inner) ? "[…]" : "{…}") : JSON.stringify(inner)?.slice(0, 40);
    return name === null ? short : `${name}: ${short}`;
  });
  return parts.join(", ").slice(0, 120);
}
