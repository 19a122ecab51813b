// Work that outlives the call that asked for it (the extension io.modelcontextprotocol/tasks): looked at now and then.

import { RpcError } from "./revisions.js";

const SHORTEST = 200; // milliseconds between two looks, whatever the server suggests
const LONGEST = 30_000;

export class Task {
  #answered = new Set();

  constructor(connection, wire, label) {
    this.connection = connection;
    this.wire = wire;
    this.label = label;
    this.id = String(wire.taskId);
  }

  /** Wait for the result, and answer what is asked meanwhile; `changed(wire)` hears of each look. */
  async result(changed, signal) {
    for (;;) {
      changed(this.wire);
      const { status, statusMessage, result, error } = this.wire;
      if (status === "completed") return result ?? {};
      if (status === "failed") throw new RpcError(error ?? { message: statusMessage });
      if (status === "cancelled") throw Object.assign(new Error(`The task was cancelled. ${statusMessage ?? ""}`), { cancelled: true });
      if (status === "input_required") await this.#answer(signal);
      await this.#pause(signal);
      this.wire = await this.connection.peer.request("tasks/get", { taskId: this.id }, { signal });
    }
  }

  /** Ask the server to stop; its status tells when it has. */
  cancel() {
    return this.connection.peer.request("tasks/cancel", { taskId: this.id });
  }

  async #answer(signal) {
    const fresh = Object.entries(this.wire.inputRequests ?? {}).filter(([key]) => !this.#answered.has(key));
    for (const [key, question] of fresh) {
      const inputResponses = await this.connection.respond({ [key]: question }, { label: this.label, signal });
      await this.connection.peer.request("tasks/update", { taskId: this.id, inputResponses }, { signal });
      this.#answered.add(key);
    }
  }

  #pause(signal) {
    const suggested = Number(this.wire.pollIntervalMs) || 1000;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, Math.min(Math.max(suggested, SHORTEST), LONGEST));
      signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
    });
  }
}
