// One server as the page sees it, in whichever era: its lists, its calls, what changes, and what it asks.

import { Journal } from "./journal.js";
import { open } from "./opening.js";
import { Wire } from "./wire.js";
import { Task } from "./tasks.js";
import { TASKS } from "./revisions.js";
import { mirror } from "./stateless.js";

const MOST_PAGES = 100;
const MOST_ROUNDS = 10;
const SOON = 100; // milliseconds between a notice and what follows from it
const LISTS = {
  tools: ["tools/list", "tools", "tools"],
  resources: ["resources/list", "resources", "resources"],
  templates: ["resources/templates/list", "resourceTemplates", "resources"],
  prompts: ["prompts/list", "prompts", "prompts"],
};

/** Events: "state", "list" (a list came anew), "updated" (a resource changed, in `detail`), "notice". */
export class Connection extends EventTarget {
  state = "closed"; // opening, open, failed
  error = null;
  lists = { tools: [], resources: [], templates: [], prompts: [] };
  broken = {}; // a list that could not be had, and why
  subscribed = new Map(); // URI to how often it changed, and when
  listening = false;
  settings = {
    revision: "auto", logLevel: "info",
    offer: { form: true, url: true, sampling: true, tools: true, roots: true, tasks: true },
    roots: [],
  };
  #listener = null;
  #due = new Map();
  #wanted = false; // whether changes are to be heard: the page looks at this server

  constructor(listed, questions) {
    super();
    this.name = listed.name;
    this.title = listed.title || listed.name;
    this.journal = new Journal();
    this.wire = new Wire(listed.path, this.journal);
    this.questions = questions;
  }

  // --- opening and closing ---

  async open() {
    await this.close();
    const mine = (this.opening = {});
    this.#set("opening");
    const host = {
      notice: (method, params) => this.#notice(method, params),
      asked: (method, params, call, signal) =>
        this.questions.answer(this, method, params, call?.label, call?.signal ? AbortSignal.any([signal, call.signal]) : signal),
      lost: () => this.opening === mine && this.#fail(new Error("The session is over: the server does not know it any more.")),
    };
    try {
      const peer = await open(this.wire, this.settings, host);
      if (this.opening !== mine) return void peer.close();
      this.peer = peer;
      this.#set("open");
      await Promise.all(Object.keys(LISTS).map((list) => this.load(list)));
      if (this.#wanted) this.#listen();
    } catch (error) {
      if (this.opening === mine) this.#fail(error);
    }
  }

  async close() {
    this.opening = null;
    this.#hangUp();
    const peer = this.peer;
    this.peer = undefined;
    this.subscribed.clear();
    this.#set("closed");
    await peer?.close();
  }

  /** Close, and forget what was offered. */
  leave() {
    for (const list of Object.keys(LISTS)) this.lists[list] = [];
    return this.close();
  }

  #fail(error) {
    this.#hangUp();
    this.error = error;
    this.#set("failed");
  }

  #set(state) {
    this.state = state;
    if (state !== "failed") this.error = null;
    this.dispatchEvent(new Event("state"));
  }

  has(capability) {
    return Boolean(this.peer?.capabilities?.[capability]);
  }

  get hasTasks() {
    return Boolean(this.peer?.capabilities?.extensions?.[TASKS]);
  }

  // --- lists ---

  async load(list) {
    const [method, member, capability] = LISTS[list];
    if (!this.has(capability)) return;
    try {
      const found = [];
      const seen = new Set();
      let cursor;
      for (let page = 0; page < MOST_PAGES; page += 1) {
        const result = await this.peer.request(method, cursor === undefined ? {} : { cursor });
        if (Array.isArray(result[member])) found.push(...result[member].filter((each) => typeof each === "object" && each));
        cursor = result.nextCursor;
        if (typeof cursor !== "string" || seen.has(cursor)) break;
        seen.add(cursor);
        if (found.length > this.lists[list].length) this.#publish(list, [...found]);
      }
      this.lists[list] = found;
      delete this.broken[list];
    } catch (error) {
      this.broken[list] = error.message;
    }
    this.#publish(list, this.lists[list]);
  }

  #publish(list, found) {
    this.lists[list] = found;
    this.dispatchEvent(new CustomEvent("list", { detail: list }));
  }

  // --- calls ---

  /** Call a tool; gives its result, or a `Task`. `notice` hears of progress and logs, `signal` gives up. */
  async callTool(tool, args, options) {
    const headers = this.peer.legacy ? {} : mirror(tool.inputSchema, args);
    return this.#ask("tools/call", { name: tool.name, arguments: args }, { ...options, headers, label: tool.name });
  }

  readResource(uri, options) {
    return this.#ask("resources/read", { uri }, { ...options, label: uri });
  }

  getPrompt(name, args, options) {
    return this.#ask("prompts/get", { name, arguments: args }, { ...options, label: name });
  }

  /** The values that the server offers for an argument; none where it cannot say. */
  async complete(ref, argument, others) {
    if (!this.has("completions")) return [];
    const params = { ref, argument, ...(Object.keys(others).length && { context: { arguments: others } }) };
    const result = await this.peer.request("completion/complete", params).catch(() => ({}));
    const values = result.completion?.values;
    return Array.isArray(values) ? values.filter((value) => typeof value === "string").slice(0, 100) : [];
  }

  /** Ask, and answer what is asked meanwhile: the rounds of 2026-07-28 (basic/patterns/mrtr). */
  async #ask(method, params, options) {
    if (!this.peer) throw new Error("There is no connection.");
    let retry = {};
    for (let round = 0; round <= MOST_ROUNDS; round += 1) {
      const result = await this.peer.request(method, { ...params, ...retry }, options);
      if (result.resultType === "task") return new Task(this, result, options.label);
      if (result.resultType !== "input_required" || this.peer.legacy) return result;
      retry = { inputResponses: await this.respond(result.inputRequests ?? {}, options) };
      if (typeof result.requestState === "string") retry.requestState = result.requestState;
    }
    throw new Error(`The server still asks after ${MOST_ROUNDS} rounds.`);
  }

  /** Answer the questions of one round: key to request, key to answer. */
  async respond(questions, { signal, label }) {
    const answers = {};
    for (const [key, { method, params }] of Object.entries(questions)) {
      answers[key] = await this.questions.answer(this, String(method), params ?? {}, label, signal);
    }
    return answers;
  }

  // --- changes ---

  /** Hear of changes, or no more: a browser opens six connections to one address at most, and each stream takes one. */
  watch(wanted) {
    if (this.#wanted === wanted) return;
    this.#wanted = wanted;
    if (!wanted) this.#hangUp();
    else if (this.state === "open") this.#catchUp();
  }

  async #catchUp() {
    this.#listen();
    for (const uri of this.subscribed.keys()) this.dispatchEvent(new CustomEvent("updated", { detail: uri }));
    await Promise.all(Object.keys(LISTS).map((list) => this.load(list)));
  }

  async subscribe(uri) {
    if (this.peer.legacy) await this.peer.request("resources/subscribe", { uri });
    this.subscribed.set(uri, { changes: 0, at: null });
    if (!this.peer.legacy) this.#listen();
  }

  async unsubscribe(uri) {
    this.subscribed.delete(uri);
    if (this.peer.legacy) await this.peer.request("resources/unsubscribe", { uri });
    else this.#listen();
  }

  #hangUp() {
    this.#listener?.abort();
    this.#listener = null;
    this.listening = false;
  }

  /** Open the stream of changes; one that is there is let go when this one is acknowledged, so that nothing is missed. */
  async #listen(patience = 1000) {
    const before = this.#listener;
    const mine = (this.#listener = new AbortController());
    const acknowledged = () => {
      before?.abort();
      patience = 1000;
      this.listening = true;
      this.dispatchEvent(new Event("state"));
    };
    const filter = { toolsListChanged: true, resourcesListChanged: true, promptsListChanged: true };
    if (this.subscribed.size) filter.resourceSubscriptions = [...this.subscribed.keys()];
    await this.peer.listen(filter, mine.signal, acknowledged).catch((error) => {
      if (error.status >= 400 && error.status < 500) patience = Infinity; // it will not be served next time either
    });
    before?.abort();
    if (this.#listener !== mine) return;
    this.listening = false;
    this.dispatchEvent(new Event("state"));
    if (patience === Infinity) return;
    setTimeout(() => {
      if (this.#listener === mine && this.state === "open") this.#listen(Math.min(patience * 2, 30_000));
    }, patience);
  }

  /** Do something soon, and once, however often a server says that it is due; again only when it is done. */
  #soon(key, action) {
    const known = this.#due.get(key);
    if (known) return void (known.again = true);
    const mine = { again: false };
    this.#due.set(key, mine);
    setTimeout(async () => {
      mine.again = false;
      if (this.state === "open") await action();
      this.#due.delete(key);
      if (mine.again) this.#soon(key, action);
    }, SOON);
  }

  #notice(method, params) {
    const changed = /^notifications\/(tools|resources|prompts)\/list_changed$/.exec(method)?.[1];
    if (changed) this.#soon(changed, () => this.load(changed));
    if (changed === "resources") this.#soon("templates", () => this.load("templates"));
    if (method === "notifications/resources/updated" && typeof params.uri === "string") {
      const known = this.subscribed.get(params.uri);
      if (!known) return;
      this.subscribed.set(params.uri, { changes: known.changes + 1, at: new Date() });
      this.#soon(`updated ${params.uri}`, () => this.dispatchEvent(new CustomEvent("updated", { detail: params.uri })));
    }
    this.dispatchEvent(new CustomEvent("notice", { detail: { method, params } }));
  }
}
