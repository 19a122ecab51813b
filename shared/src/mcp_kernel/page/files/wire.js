// One endpoint over HTTP: a message out, messages in, and both in the journal.

import { EventReader } from "./events.js";

const MOST = 32 * 1024 * 1024; // characters of an answer
const SLICE = 10; // milliseconds of reading, after which the page is drawn

/** The answer was no message: its HTTP status, and what it said. */
export class HttpError extends Error {
  constructor(status, text) {
    super(`HTTP ${status}${text ? `: ${text}` : ""}`);
    this.status = status;
  }
}

export class Wire {
  token = ""; // in memory alone, and in no journal
  #number = 0;

  constructor(path, journal) {
    this.path = path;
    this.journal = journal;
  }

  /** An id for a request: never one that this page has used at this endpoint. */
  number() {
    return ++this.#number;
  }

  /**
   * Send a message (or a bare GET or DELETE) and hand every message of the answer to `take`. Resolves at the end of the
   * answer with `{ status, headers, id, retry }`, the last two of the last event that had them; rejects with `HttpError`
   * where the answer is none, and with the browser's error where the connection failed or was given up.
   */
  async send(method, headers, message, { signal, take = () => {}, opened = () => {}, note = () => {} } = {}) {
    const sent = { accept: "application/json, text/event-stream", ...headers };
    if (message !== undefined) sent["content-type"] = "application/json";
    if (this.token) sent.authorization = `Bearer ${this.token}`;
    const body = message === undefined ? undefined : JSON.stringify(message);
    const http = { verb: method, path: this.path, headers: { ...sent, ...(this.token && { authorization: "Bearer …" }) } };
    const entry = message === undefined ? null : this.journal.add("client", message, { size: body.length, http });
    let response;
    try {
      response = await fetch(this.path, {
        method, headers: sent, body, signal, cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
      });
    } catch (error) {
      if (!signal?.aborted) this.journal.fail(`${method} ${this.path}: ${error.message}`, http, entry);
      throw error;
    }
    http.status = response.status;
    http.answered = Object.fromEntries(response.headers);
    this.journal.touch();
    opened(response);
    return this.#read(response, { take, entry, http, note });
  }

  async #read(response, { take, entry, http, note }) {
    const kind = (response.headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();
    const end = { status: response.status, headers: response.headers };
    if (kind === "text/event-stream" && response.ok) {
      await this.#stream(response, take, end, note);
      return end;
    }
    const text = await readWhole(response);
    const message = kind === "application/json" && text ? parse(text) : undefined;
    if (isMessage(message)) {
      this.journal.add("server", message, { size: text.length, http, ...(entry && !("id" in message) && { method: entry.method }) });
      if (response.ok || (message.id !== undefined && message.id !== null)) {
        take(message);
        return end;
      }
      throw Object.assign(new HttpError(response.status, message.error?.message ?? ""), { answer: message });
    }
    if (response.ok && !text) return end;
    this.journal.fail(text.slice(0, 2000), http, entry);
    throw new HttpError(response.status, text.slice(0, 300));
  }

  async #stream(response, take, end, note) {
    const reader = new EventReader();
    const text = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let since = performance.now();
    for (;;) {
      const { value, done } = await text.read();
      if (done) return;
      if (performance.now() - since > SLICE) {
        await new Promise((resolve) => setTimeout(resolve)); // whatever comes, the person at the page comes first
        since = performance.now();
      }
      for (const event of reader.push(value)) {
        if (event.id !== undefined) end.id = event.id;
        if (event.retry !== undefined) end.retry = event.retry;
        note(end);
        if (!event.data || (event.event ?? "message") !== "message") continue;
        const message = parse(event.data);
        this.journal.add("server", isMessage(message) ? message : event.data, { size: event.data.length, event: event.id });
        if (isMessage(message)) take(message);
      }
    }
  }
}

async function readWhole(response) {
  if (!response.body) return "";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return text;
    text += value;
    if (text.length > MOST) {
      await reader.cancel();
      throw new RangeError(`the answer is longer than ${MOST} characters`);
    }
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isMessage = (value) => typeof value === "object" && value !== null && !Array.isArray(value) && value.jsonrpc === "2.0";
