// Server-sent events, read as they come (HTML, "Parsing an event stream"), within a bound.

const MOST = 32 * 1024 * 1024; // characters of one event: no answer that a person reads is longer

/** Takes text in pieces, and gives the events that are whole: `{ data, id, event, retry }`, what is not there left out. */
export class EventReader {
  #rest = "";
  #event = {};
  #lines = [];
  #size = 0;

  /** Throws `RangeError` for an event that does not end. */
  push(text) {
    const found = [];
    const ready = this.#rest + text;
    let start = 0;
    for (const end of ready.matchAll(/\r\n|\n|\r(?!$)/g)) {
      this.#take(ready.slice(start, end.index), found);
      start = end.index + end[0].length;
    }
    this.#rest = ready.slice(start);
    if (this.#size + this.#rest.length > MOST) throw new RangeError(`an event is longer than ${MOST} characters`);
    return found;
  }

  #take(line, found) {
    if (line === "") {
      if (this.#lines.length) this.#event.data = this.#lines.join("\n");
      if (Object.keys(this.#event).length) found.push(this.#event);
      this.#event = {};
      this.#lines = [];
      this.#size = 0;
      return;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    this.#size += line.length;
    if (name === "data") this.#lines.push(value);
    else if (name === "id" && !value.includes("\0")) this.#event.id = value;
    else if (name === "event") this.#event.event = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.#event.retry = Number(value);
  }
}
