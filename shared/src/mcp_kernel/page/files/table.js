// Data as tables: rows in columns that can be sorted, and what an object holds beside its tables.

import { button, copier, el, fill, put } from "./dom.js";
import { tree, write } from "./json.js";
import { isObject } from "./schema.js";

const CHUNK = 200; // rows that are shown at once
const LONGEST = 240; // characters of a cell that are shown at once
const MOST_COLUMNS = 60;
const MOST_FACTS = 100; // names, or values of one name, that are shown outside a table

/** Whether a value reads best as a table, or holds one. */
export function isTabular(value) {
  return asTable(value) !== null || (isObject(value) && Object.values(value).some((inner) => asTable(inner) !== null));
}

/** Show structured data: tables where it has them, names and values for the rest. */
export function data(value) {
  const whole = asTable(value);
  if (whole) return el("div", { class: "data" }, table(whole), isObject(value) ? facts(value, ["columns", "rows"]) : null);
  if (!isObject(value)) return tree(value);
  const tables = Object.entries(value).map(([name, inner]) => [name, asTable(inner)]).filter(([, inner]) => inner);
  return el("div", { class: "data" },
    facts(value, tables.map(([name]) => name)),
    tables.map(([name, inner]) => el("section", {}, tables.length > 1 || Object.keys(value).length > 1 ? el("h4", {}, name) : null, table(inner))));
}

/** The columns and rows of a value: `{ columns, rows }` as databases answer, or a list of objects; null for all else. */
function asTable(value) {
  if (isObject(value) && Array.isArray(value.columns) && Array.isArray(value.rows) && value.rows.every(Array.isArray)) {
    const columns = value.columns.map((each) => (isObject(each) ? { name: String(each.name), type: each.type } : { name: String(each) }));
    return { columns: columns.slice(0, MOST_COLUMNS), rows: value.rows };
  }
  if (!Array.isArray(value) || value.length === 0 || !value.every(isObject)) return null;
  const names = [...new Set(value.slice(0, 1000).flatMap((row) => Object.keys(row)))].slice(0, MOST_COLUMNS);
  return { columns: names.map((name) => ({ name })), rows: value.map((row) => names.map((name) => row[name])) };
}

function facts(value, leave) {
  const rest = Object.entries(value).filter(([name, inner]) => !leave.includes(name) && inner !== null);
  if (!rest.length) return null;
  if (rest.length > MOST_FACTS) return tree(value, { open: 1 });
  const isPlain = (inner) => typeof inner !== "object";
  return el("dl", { class: "facts" }, rest.map(([name, inner]) => el("div", { class: isPlain(inner) && String(inner).length < 60 ? "short" : null },
    el("dt", {}, name), el("dd", {}, isPlain(inner) ? text(inner) : list(inner)))));
}

const list = (inner) => (Array.isArray(inner) && inner.length <= MOST_FACTS && inner.every((each) => typeof each !== "object" && String(each).length < LONGEST) ? inner.join(", ") || "none" : tree(inner, { open: 1, copy: false }));

const text = (inner) => {
  const whole = String(inner);
  const cut = whole.length > LONGEST * 50 ? `${whole.slice(0, LONGEST * 50)} … (${whole.length} characters)` : whole;
  return cut.includes("\n") ? el("pre", {}, cut) : cut;
};

/** A table; a click on a column's head sorts by it, up and then down. */
function table({ columns, rows }) {
  const numeric = columns.map((_, at) => rows.slice(0, CHUNK).every((row) => row[at] === null || row[at] === undefined || typeof row[at] === "number"));
  const body = el("tbody");
  const foot = el("p", { class: "hint" });
  let sorted = rows;
  let by = null;
  const show = (most) => {
    fill(body, sorted.slice(0, most).map((row) => el("tr", {}, columns.map((_, at) => cell(row[at], numeric[at])))));
    fill(foot, `${rows.length} ${rows.length === 1 ? "row" : "rows"}`, copier(() => separated(columns, sorted), "Copy as tab-separated values"));
    if (most < rows.length) put(foot, `, ${most} shown `, button(`show ${Math.min(CHUNK * 5, rows.length - most)} more`, () => show(most + CHUNK * 5), { class: "quiet" }));
  };
  const heads = columns.map(({ name, type }, at) => {
    const head = el("th", { scope: "col", class: numeric[at] ? "number" : null },
      button(name, () => sort(at), { title: type ? `${name}: ${type}. Sort` : `Sort by ${name}` }), type ? el("span", { class: "type" }, String(type).toLowerCase()) : null);
    return head;
  });
  const sort = (at) => {
    const down = by?.at === at && !by.down;
    by = { at, down };
    sorted = [...rows].sort((one, other) => (down ? -1 : 1) * compare(one[at], other[at]));
    heads.forEach((head, each) => (each === at ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort")));
    show(CHUNK);
  };
  show(CHUNK);
  return el("div", { class: "table" }, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" },
    el("table", {}, el("thead", {}, el("tr", {}, heads)), body)), foot);
}

function cell(value, number) {
  if (value === null || value === undefined) return el("td", { class: "null" }, value === null ? "null" : "");
  if (typeof value === "number") return el("td", { class: number ? "number" : null }, String(value));
  const whole = typeof value === "string" ? value : write(value);
  if (whole.length <= LONGEST) return el("td", { class: typeof value === "object" ? "mono" : null }, whole);
  const shown = el("td", {}, `${whole.slice(0, LONGEST)}…`);
  shown.append(button("all", () => fill(shown, whole.slice(0, 100_000)), { class: "quiet" }));
  return shown;
}

function compare(one, other) {
  if (one === other) return 0;
  if (one === null || one === undefined) return 1; // at the end
  if (other === null || other === undefined) return -1;
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), undefined, { numeric: true });
}

const separated = (columns, rows) =>
  [columns.map(({ name }) => name), ...rows].map((row) => row.map((value) => String(value ?? "").replace(/[\t\n\r]/g, " ")).join("\t")).join("\n");
