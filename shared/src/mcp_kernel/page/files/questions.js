// What a server asks: each question a dialog, one after another, with the name of who asks. Roots are answered from the
// settings; nothing else is answered without a person.

import { anchor, button, el, fill, followable } from "./dom.js";
import { content } from "./content.js";
import { form } from "./form.js";
import { tree } from "./json.js";
import { isObject } from "./schema.js";

const REFUSED = -1; // the code with which a host says that its user said no (client/sampling, "Error Handling")
const UNKNOWN = -32601;
const MOST_WAITING = 20; // questions; a person who must answer more is not asked but kept

class Refused extends Error {
  code = REFUSED;
}

export class Questions {
  #turn = Promise.resolve();
  #waiting = 0;

  constructor(dialog) {
    this.dialog = dialog;
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault(); // Escape: the question hears of it
      this.escape?.();
    });
  }

  /** Answer one request of a server: the wire's result; throws where it is refused, or `signal` takes it back. */
  async answer(connection, method, params, label, signal) {
    if (method === "roots/list") return { roots: connection.settings.roots };
    const ask = { "elicitation/create": params.mode === "url" ? askToVisit : askForm, "sampling/createMessage": askModel }[method];
    if (!ask) throw Object.assign(new Error(`This console does not answer ${method}.`), { code: UNKNOWN });
    if (this.#waiting >= MOST_WAITING) throw new Refused("Too many questions are open already.");
    this.#waiting += 1;
    const mine = this.#turn.then(() => this.#show(ask, connection, params, label, signal));
    this.#turn = mine.catch(() => {}).then(() => { this.#waiting -= 1; });
    return mine;
  }

  #show(ask, connection, params, label, signal) {
    signal?.throwIfAborted();
    const before = document.activeElement;
    return new Promise((resolve, reject) => {
      const stop = () => reject(signal.reason);
      signal?.addEventListener("abort", stop, { once: true });
      const more = this.#waiting > 1 ? `${this.#waiting - 1} more to come` : "";
      const { title, body, buttons, escape, focus } = ask(params, resolve, reject);
      this.escape = escape;
      fill(this.dialog,
        el("header", {}, el("p", { class: "hint" }, el("strong", {}, connection.title), " asks", label ? [", for ", el("code", {}, label)] : null, more ? ` · ${more}` : null), el("h2", { id: "question" }, title)),
        el("div", { class: "dialog-body" }, body), el("footer", {}, buttons));
      this.dialog.showModal();
      focus?.();
    }).finally(() => {
      this.escape = null;
      this.dialog.close();
      this.dialog.replaceChildren();
      before?.focus?.();
    });
  }
}

function askForm(params, resolve) {
  const fields = form(isObject(params.requestedSchema) ? params.requestedSchema : {}, { label: "Your answer" });
  const accept = () => {
    try {
      resolve({ action: "accept", content: fields.read() });
    } catch (error) {
      error.focus?.();
    }
  };
  return {
    title: "A form to fill in",
    body: [message(params), el("form", { on: { submit: (event) => { event.preventDefault(); accept(); } } }, fields.element, el("button", { class: "unseen", tabindex: "-1", "aria-hidden": "true" }))],
    buttons: choices(resolve, button("Send", accept, { class: "primary" })),
    escape: () => resolve({ action: "cancel" }),
    focus: fields.focus,
  };
}

/** The address is shown whole, opened by a click alone, and never fetched from here. */
function askToVisit(params, resolve) {
  const address = String(params.url ?? "");
  const safe = followable(address);
  const host = safe ? new URL(safe).host : "";
  return {
    title: "A page to visit",
    body: [message(params),
      el("p", { class: "address" }, address),
      safe ? el("p", {}, "It belongs to ", el("strong", {}, host), ". Whatever you enter there goes to that site, not through this console.")
        : el("p", { class: "misfit" }, "This is no address that a browser should open.")],
    buttons: choices(resolve, safe ? agree(safe, () => resolve({ action: "accept" })) : null),
    escape: () => resolve({ action: "cancel" }),
  };
}

function agree(address, then) {
  const link = anchor(address, "Open it and go on");
  link.className = "button primary";
  link.addEventListener("click", then);
  return link;
}

const choices = (resolve, primary) => [
  button("Cancel", () => resolve({ action: "cancel" }), { class: "quiet" }),
  button("Decline", () => resolve({ action: "decline" })),
  primary,
];

const message = (params) => el("p", { class: "asked" }, String(params.message ?? ""));

/** A model's answer, written by hand. */
function askModel(params, resolve, reject) {
  const answer = el("textarea", { rows: 5, id: "sampled", placeholder: "What the model answers" });
  const model = el("input", { type: "text", value: "by-hand", "aria-label": "Name of the model" });
  const wrong = el("p", { class: "misfit", role: "alert", hidden: true });
  const tools = Array.isArray(params.tools) ? params.tools.filter(isObject) : [];
  const calls = el("textarea", { rows: 4, class: "mono", id: "calls", "aria-label": "Calls of tools, as JSON" });
  const use = ({ name }) => {
    const known = calls.value.trim() ? JSON.parse(calls.value) : [];
    calls.value = JSON.stringify([...known, { type: "tool_use", id: `call_${known.length + 1}`, name, input: {} }], null, 2);
  };
  const send = () => {
    try {
      const used = calls.value.trim() ? JSON.parse(calls.value) : [];
      const blocks = [...(answer.value || !used.length ? [{ type: "text", text: answer.value }] : []), ...used];
      resolve({ role: "assistant", model: model.value, content: blocks.length === 1 && !tools.length ? blocks[0] : blocks, stopReason: used.length ? "toolUse" : "endTurn" });
    } catch (error) {
      wrong.textContent = `The calls are no JSON: ${error.message}`;
      wrong.hidden = false;
    }
  };
  const { messages, tools: _tools, ...rest } = params;
  return {
    title: "A model's answer, by hand",
    body: [
      params.systemPrompt ? el("p", { class: "asked" }, el("strong", {}, "System: "), params.systemPrompt) : null,
      (Array.isArray(messages) ? messages : []).map((each) => el("section", { class: "message" }, el("h4", {}, String(each?.role ?? "?")), content(each?.content ?? []))),
      el("details", { class: "more" }, el("summary", {}, "Everything that was asked for"), tree({ ...rest, ...(tools.length && { tools }) }, { open: 2 })),
      el("div", { class: "field" }, el("label", { for: "sampled", class: "name" }, "Answer"), answer),
      tools.length ? el("div", { class: "field" }, el("label", { for: "calls", class: "name" }, "Calls of tools"), el("p", {}, tools.map((tool) => button(`call ${tool.name}`, () => use(tool), { class: "quiet" }))), calls) : null,
      el("label", { class: "inline" }, "as the model ", model), wrong],
    buttons: [button("Refuse", () => reject(new Refused("The user refused to sample.")), {}), button("Send", send, { class: "primary" })],
    escape: () => reject(new Refused("The user refused to sample.")),
    focus: () => answer.focus(),
  };
}
