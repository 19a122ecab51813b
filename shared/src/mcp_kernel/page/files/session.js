// The era of sessions (2024-11-05 to 2025-11-25) over Streamable HTTP: a handshake, streams that can be taken up again,
// a stream beside, and requests of the server that are answered by a POST of their own.

import { HttpError } from "./wire.js";
import { CLIENT, RpcError, capabilities } from "./revisions.js";

const RETRY = 1000; // milliseconds before a stream is taken up again, where the server named no time
const LONGEST_RETRY = 30_000;
const FRUITLESS = 5; // times in a row that a resumed stream may end without an event

const pause = (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });

export class Session {
  legacy = true;
  #calls = new Map();
  #asked = new Map(); // requests of the server that are not answered yet
  #headers = {};
  #settings;

  /** `asked(method, params, call, signal)` answers the server's requests; `lost(error)` hears that the session is over. */
  constructor(wire, revision, settings, { notice, asked, lost }) {
    this.wire = wire;
    this.wanted = revision;
    this.#settings = settings;
    this.notice = notice;
    this.asked = asked;
    this.lost = lost;
  }

  /** Shake hands. */
  async open() {
    const opened = (response) => {
      const session = response.headers.get("mcp-session-id");
      if (session) this.#headers["mcp-session-id"] = session;
    };
    const offered = capabilities(this.#settings.offer, this.wanted);
    const params = { protocolVersion: this.wanted, capabilities: offered, clientInfo: CLIENT };
    this.server = await this.request("initialize", params, { opened });
    this.revision = String(this.server.protocolVersion);
    this.capabilities = this.server.capabilities ?? {};
    this.info = this.server.serverInfo ?? {};
    this.#headers["mcp-protocol-version"] = this.revision;
    await this.#post({ jsonrpc: "2.0", method: "notifications/initialized" });
    if (this.capabilities.logging) await this.request("logging/setLevel", { level: this.#settings.logLevel }).catch(() => {});
    return this.server;
  }

  /** Send a request and wait for its result; to give it up is to say so. */
  async request(method, params, { signal, notice, opened, label } = {}) {
    signal?.throwIfAborted();
    const id = this.wire.number();
    const call = { id, notice, label, signal, answer: undefined };
    this.#calls.set(id, call);
    const hangUp = new AbortController();
    const cancel = () => {
      this.#post({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id, reason: "given up by hand" } }).catch(() => {});
      hangUp.abort(signal.reason);
    };
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      const sent = notice ? { ...params, _meta: { ...params._meta, progressToken: id } } : params;
      await this.#deliver({ jsonrpc: "2.0", id, method, params: sent }, call, hangUp.signal, opened);
    } finally {
      this.#calls.delete(id);
      signal?.removeEventListener("abort", cancel);
    }
    if (call.answer.error) throw new RpcError(call.answer.error);
    return call.answer.result ?? {};
  }

  async #deliver(message, call, signal, opened) {
    const take = (heard) => this.#take(heard, call);
    const at = {};
    const note = (end) => Object.assign(at, end);
    try {
      await this.wire.send("POST", this.#headers, message, { signal, take, opened, note });
    } catch (error) {
      if (error.answer && error.status !== 401) call.answer ??= error.answer;
      else if (error instanceof HttpError || signal.aborted || at.id === undefined) throw this.#mind(error);
    }
    for (let fruitless = 0; call.answer === undefined && at.id !== undefined && fruitless < FRUITLESS; ) {
      await pause(Math.min(at.retry ?? RETRY, LONGEST_RETRY), signal);
      const before = at.id;
      const headers = { ...this.#headers, "last-event-id": at.id };
      await this.wire.send("GET", headers, undefined, { signal, take, note }).catch((error) => {
        if (error instanceof HttpError || signal.aborted) throw this.#mind(error);
      });
      fruitless = at.id === before ? fruitless + 1 : 0;
    }
    if (call.answer === undefined) throw new Error("The server ended the stream before it answered.");
  }

  #mind(error) {
    if (error.status === 404 && this.#headers["mcp-session-id"]) this.lost(error);
    return error;
  }

  #take(message, call) {
    if (!("method" in message)) {
      const mine = this.#calls.get(message.id) ?? (message.id === undefined || message.id === null ? call : undefined);
      if (mine) mine.answer ??= message;
    } else if ("id" in message) {
      this.#respond(message, call);
    } else if (message.method === "notifications/cancelled") {
      this.#asked.get(message.params?.requestId)?.abort(new Error("The server takes its question back."));
    } else {
      const owner = message.method === "notifications/progress" ? this.#calls.get(message.params?.progressToken) : call;
      (owner?.notice ?? this.notice)(message.method, message.params ?? {});
    }
  }

  async #respond({ id, method, params }, call) {
    let answer;
    const taken = new AbortController();
    this.#asked.set(id, taken);
    try {
      answer = { result: method === "ping" ? {} : await this.asked(method, params ?? {}, call, taken.signal) };
    } catch (error) {
      answer = { error: { code: Number.isInteger(error.code) ? error.code : -32603, message: error.message } };
    }
    this.#asked.delete(id);
    if (taken.signal.aborted) return;
    await this.#post({ jsonrpc: "2.0", id, ...answer }).catch(() => {});
  }

  async #post(message) {
    await this.wire.send("POST", this.#headers, message);
  }

  /** Read the stream beside until `signal` says stop; it is opened again whenever it ends. */
  async listen(_filter, signal, acknowledged) {
    let wait = RETRY;
    const at = {};
    const take = (message) => this.#take(message, undefined);
    while (!signal.aborted) {
      const headers = at.id === undefined ? this.#headers : { ...this.#headers, "last-event-id": at.id };
      try {
        const opened = (response) => { if (response.ok) { wait = RETRY; acknowledged({}); } };
        await this.wire.send("GET", headers, undefined, { signal, take, opened, note: (end) => Object.assign(at, end) });
      } catch (error) {
        if (signal.aborted) return;
        if (error.status !== undefined && error.status < 500) {
          if (error.status === 400 && at.id !== undefined) delete at.id; // too old to be taken up: from now on
          else throw this.#mind(error); // 405: this server has no such stream
        }
        wait = Math.min(wait * 2, LONGEST_RETRY);
      }
      await pause(at.retry ?? wait, signal).catch(() => {});
    }
  }

  async close() {
    if (this.#headers["mcp-session-id"]) await this.wire.send("DELETE", this.#headers).catch(() => {});
  }
}
