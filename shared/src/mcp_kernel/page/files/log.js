// The wire at the side: every message, in its order, opened where one looks. Only what fits is in the document.

import { button, copier, el, fill, put, size, span } from "./dom.js";
import { download } from "./content.js";
import { tree, write } from "./json.js";

const SHOWN = 300; // entries in the document at once
const PAUSE = 300; // milliseconds between two pictures of a wire that is full

export class Log {
  #journal = null;
  #rows = new Map(); // entry to row
  #due = false;
  #open = new Set();

  constructor(element, bar) {
    this.element = element;
    this.filter = el("input", { type: "search", placeholder: "Filter", "aria-label": "Filter the wire" });
    this.filter.addEventListener("input", () => this.#again());
    this.count = el("span", { class: "hint" });
    fill(bar, el("h2", {}, "Wire"), this.count, this.filter,
      button("save", () => this.#save(), { class: "quiet", title: "Keep the wire as a file of JSON" }),
      button("clear", () => this.#journal?.clear(), { class: "quiet", title: "Forget what went over the wire" }));
    this.changed = () => this.#later();
  }

  show(journal) {
    this.#journal?.removeEventListener("change", this.changed);
    this.#journal = journal;
    journal.addEventListener("change", this.changed);
    this.#again();
  }

  #again() {
    this.#rows.clear();
    this.element.replaceChildren();
    this.#draw();
  }

  /** Draw with the next picture, or a little later where much comes. */
  #later() {
    if (this.#due) return;
    this.#due = true;
    const draw = () => { this.#due = false; this.#draw(); };
    if (document.hidden || this.#rows.size >= SHOWN) setTimeout(draw, PAUSE);
    else requestAnimationFrame(draw);
  }

  #draw() {
    const { entries, dropped } = this.#journal;
    const words = this.filter.value.toLowerCase();
    const fits = (entry) => !words || `${entry.method} ${entry.kind} ${entry.id ?? ""} ${text(entry)}`.toLowerCase().includes(words);
    const shown = entries.filter(fits).slice(-SHOWN);
    const keep = new Set(shown);
    const atEnd = this.element.scrollHeight - this.element.scrollTop - this.element.clientHeight < 40;
    for (const [entry, row] of this.#rows) {
      if (keep.has(entry)) continue;
      row.element.remove();
      this.#rows.delete(entry);
    }
    for (const entry of shown) {
      const row = this.#rows.get(entry);
      if (row) row.touch();
      else this.#rows.set(entry, this.#add(entry));
    }
    fill(this.count, words ? `${shown.length} of ${entries.length}` : entries.length, dropped ? `, ${dropped} forgotten` : "");
    if (atEnd) this.element.scrollTop = this.element.scrollHeight;
  }

  #add(entry) {
    const took = el("span", { class: "took" });
    const head = el("summary", {},
      el("span", { class: "arrow", title: entry.from === "client" ? "to the server" : "from the server" }, entry.from === "client" ? "→" : "←"),
      el("span", { class: "method" }, entry.method || entry.kind), entry.kind === "request" || entry.kind === "notification" ? null : el("span", { class: "kind" }, entry.kind),
      entry.id === undefined || entry.id === null ? null : el("span", { class: "id" }, `#${entry.id}`), took);
    const details = el("details", { class: "entry", data: { from: entry.from, method: entry.method, kind: entry.kind } }, head);
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) put(details, detail(entry));
    });
    const touch = () => {
      const said = [entry.http?.status >= 400 && entry.from === "client" ? `${entry.http.status}` : null, entry.ms === undefined ? null : span(entry.ms), entry.size ? size(entry.size) : null].filter(Boolean).join(" ");
      if (took.textContent !== said) took.textContent = said;
    };
    touch();
    this.element.append(details);
    return { element: details, touch };
  }

  #save() {
    const all = this.#journal.entries.map(({ at, from, message, ms, http }) => ({ at, from, message, ms, http }));
    download(new Blob([write(all, 2)], { type: "application/json" }), "wire.json");
  }
}

const text = (entry) => (typeof entry.message === "string" ? entry.message : entry.size < 20_000 ? write(entry.message) : "");

function detail(entry) {
  const { http, at, message, event } = entry;
  return el("div", { class: "detail" },
    el("p", { class: "hint" }, at.toLocaleTimeString(undefined, { hour12: false }), `.${String(at.getMilliseconds()).padStart(3, "0")}`, http ? ` · ${http.verb} ${http.path}` : "", http?.status ? ` · ${http.status}` : "", event ? ` · event ${event}` : "",
      entry.from === "client" && http ? copier(() => curl(http, message), "Copy as a curl command") : null),
    typeof message === "string" ? el("pre", { class: "plain" }, message.slice(0, 20_000)) : tree(message, { open: 5 }),
    http ? el("details", { class: "more" }, el("summary", {}, "HTTP headers"), headers("sent", http.headers), headers("answered", http.answered)) : null);
}

const headers = (title, given) => (given ? el("dl", { class: "headers", "aria-label": title }, Object.entries(given).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))) : null);

/** The command that sends this message again; a token stays out of it. */
function curl(http, message) {
  const quote = (value) => `'${value.replaceAll("'", `'\\''`)}'`;
  const given = Object.entries(http.headers).map(([name, value]) => `-H ${name === "authorization" ? '"authorization: Bearer $TOKEN"' : quote(`${name}: ${value}`)}`);
  return ["curl -sN", ...given, "-d", quote(write(message)), quote(new URL(http.path, location.href).href)].join(" ");
}
