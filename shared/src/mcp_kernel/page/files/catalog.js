// The list at the left: servers, and what the one that is looked at offers. One list for the keyboard, too: arrows move
// through it, letters go to the field above that narrows it.

import { el, fill } from "./dom.js";

const KINDS = [
  ["tool", "tools", "Tools"],
  ["resource", "resources", "Resources"],
  ["template", "templates", "Resource templates"],
  ["prompt", "prompts", "Prompts"],
];
const MOST = 2000; // items of a kind that are shown; the filter finds the others

/** What names an item among those of its kind. */
export const nameOf = (kind, item) => String({ resource: item.uri, template: item.uriTemplate }[kind] ?? item.name);

export class Catalog {
  #connection = null;
  #chosen = "";

  /** `choose(kind, name)` and `enter(server)` hear of what is clicked. */
  constructor(element, filter, choose, enter) {
    this.element = element;
    this.filter = filter;
    this.choose = choose;
    this.enter = enter;
    filter.addEventListener("input", () => this.draw());
    filter.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") this.#move(event, 0);
      if (event.key === "Enter") this.#links()[0]?.click();
      if (event.key === "Escape") { filter.value = ""; this.draw(); }
    });
    element.addEventListener("keydown", (event) => {
      const links = this.#links();
      const at = links.indexOf(document.activeElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
      if (to === -1 && at === 0) filter.focus();
      else if (to !== undefined && at >= 0) this.#move(event, to);
    });
  }

  show(connections, connection, chosen) {
    this.connections = connections;
    this.#connection = connection;
    this.#chosen = chosen;
    this.draw();
  }

  draw() {
    const connection = this.#connection;
    if (!connection) return;
    const focused = document.activeElement?.dataset?.key;
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    fill(this.element, this.#servers(), KINDS.map(([kind, list, title]) => this.#section(kind, connection.lists[list], title, words, connection.broken[list])));
    if (focused !== undefined) this.#links().find((link) => link.dataset.key === focused)?.focus();
  }

  #servers() {
    if (this.connections.length === 0) return null;
    return el("section", {}, el("h2", {}, "Servers"), el("ul", {}, this.connections.map((each) => el("li", {},
      this.#link(`server ${each.name}`, each.title, () => this.enter(each.name), {
        current: each === this.#connection && this.#chosen === "", note: el("span", { class: `dot ${each.state}`, title: each.state }), inside: each === this.#connection,
      })))));
  }

  #section(kind, items, title, words, broken) {
    const named = items.map((item) => [nameOf(kind, item), item]);
    const found = named.filter(([name, item]) => words.every((word) => `${name} ${item.title ?? ""} ${item.description ?? ""}`.toLowerCase().includes(word)));
    if (!items.length && !broken) return null;
    return el("section", {}, el("h2", {}, title, el("span", { class: "count" }, words.length ? `${found.length} of ${items.length}` : items.length)),
      broken ? el("p", { class: "misfit" }, broken) : null,
      el("ul", {}, found.slice(0, MOST).map(([name, item]) => el("li", {}, this.#link(`${kind} ${name}`, label(kind, name, item), () => this.choose(kind, name), {
        current: this.#chosen === `${kind} ${name}`, title: `${name}\n${item.description ?? ""}`.slice(0, 400), note: marks(item),
      })))),
      found.length > MOST ? el("p", { class: "hint" }, `${found.length - MOST} more: narrow the list`) : null);
  }

  #link(key, text, action, { current, title, note, inside }) {
    return el("button", { type: "button", data: { key }, title, class: inside ? "inside" : null, "aria-current": current ? "page" : null, tabindex: current ? 0 : -1, on: { click: action } },
      el("span", { class: "label" }, text), note);
  }

  #links() {
    return [...this.element.querySelectorAll("button[data-key]")];
  }

  #move(event, to) {
    const links = this.#links();
    const link = links[Math.min(Math.max(to, 0), links.length - 1)];
    event.preventDefault();
    link?.focus();
  }
}

const label = (kind, name, item) => (kind === "tool" || kind === "prompt" ? name : (item.title ?? item.name ?? name));

function marks(item) {
  if (item.annotations?.destructiveHint === true && item.annotations.readOnlyHint !== true) return el("span", { class: "mark warn", title: "may destroy" }, "!");
  return null;
}
