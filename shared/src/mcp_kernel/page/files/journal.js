// What went over the wire, in the order in which it did, bounded: the oldest makes room.

const MOST = 1000; // entries
const MOST_SIZE = 24 * 1024 * 1024; // characters of JSON, all entries together

/**
 * An entry: `{ number, at, from, kind, method, id, message, size, ms, http }`; `from` is "client" or "server", `kind` is
 * request, result, error, notification or http (an answer that is no message).
 */
export class Journal extends EventTarget {
  entries = [];
  dropped = 0;
  #size = 0;
  #number = 0;
  #sent = new Map(); // requests that wait for their answer, by who sent them and id

  add(from, message, more = {}) {
    const entry = { number: ++this.#number, at: new Date(), from, message, size: 0, ...classify(message), ...more };
    this.#pair(entry);
    this.entries.push(entry);
    this.#size += entry.size;
    while (this.entries.length > MOST || (this.#size > MOST_SIZE && this.entries.length > 1)) {
      this.#size -= this.entries.shift().size;
      this.dropped += 1;
    }
    this.dispatchEvent(new Event("change"));
    return entry;
  }

  /** An answer that is no message: a status without a JSON-RPC body, a connection that failed. */
  fail(text, http, asked) {
    return this.add("server", text, { kind: "http", method: asked?.method ?? "", http, ms: asked ? Date.now() - asked.at : undefined });
  }

  /** An entry has learned more, such as the HTTP status of its answer. */
  touch() {
    this.dispatchEvent(new Event("change"));
  }

  clear() {
    this.entries = [];
    this.#size = 0;
    this.dispatchEvent(new Event("change"));
  }

  #pair(entry) {
    const other = entry.from === "client" ? "server" : "client";
    if (entry.kind === "request") {
      this.#sent.set(key(entry.from, entry.id), entry);
      if (this.#sent.size > MOST) this.#sent.delete(this.#sent.keys().next().value);
    } else if (entry.kind === "result" || entry.kind === "error") {
      const asked = this.#sent.get(key(other, entry.id));
      if (asked) {
        this.#sent.delete(key(other, entry.id));
        entry.method = asked.method;
        entry.asked = asked.number;
        entry.ms = entry.at - asked.at;
      }
    }
  }
}

const key = (from, id) => `${from} ${JSON.stringify(id)}`;

function classify(message) {
  if (Array.isArray(message)) return { kind: "notification", method: "batch" };
  if (typeof message !== "object" || message === null) return { kind: "http", method: "" };
  if ("method" in message) return { kind: "id" in message ? "request" : "notification", method: String(message.method), id: message.id };
  return { kind: "error" in message ? "error" : "result", method: "", id: message.id };
}
