// The stateless era (2026-07-28): every request says who asks, and is answered by itself.

import { CLIENT, RpcError, capabilities } from "./revisions.js";

const META = "io.modelcontextprotocol/";
const NAMED_BY = {
  "tools/call": "name", "prompts/get": "name", "resources/read": "uri",
  "tasks/get": "taskId", "tasks/update": "taskId", "tasks/cancel": "taskId",
};

/** The value of a header: as it is where that is safe, else in the base64 form (basic/transports/streamable-http). */
export function encodeHeader(text) {
  if (/^[\x20-\x7e\t]*$/.test(text) && text === text.trim() && !/^=\?base64\?.*\?=$/.test(text)) return text;
  const bytes = new TextEncoder().encode(text);
  return `=?base64?${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}?=`;
}

/** The `Mcp-Param-*` headers that a tool's schema asks for. */
export function mirror(schema, value, headers = {}) {
  for (const [name, described] of Object.entries(schema?.properties ?? {})) {
    const inner = value?.[name];
    const header = described?.["x-mcp-header"];
    if (typeof header === "string" && /^[\w!#$%&'*+.^`|~-]+$/.test(header) && ["string", "number", "boolean"].includes(typeof inner)) {
      headers[`mcp-param-${header.toLowerCase()}`] = encodeHeader(String(inner));
    }
    if (described?.properties && typeof inner === "object") mirror(described, inner, headers);
  }
  return headers;
}

export class Stateless {
  legacy = false;

  /** `settings` is read anew for each request; `notice(method, params)` hears what belongs to no call. */
  constructor(wire, revision, settings, notice) {
    this.wire = wire;
    this.revision = revision;
    this.settings = settings;
    this.notice = notice;
  }

  /** Ask what the server is. */
  async open() {
    this.server = await this.request("server/discover", {});
    this.capabilities = this.server.capabilities ?? {};
    this.info = this.server._meta?.[`${META}serverInfo`] ?? this.server.serverInfo ?? {};
    return this.server;
  }

  /** Send a request and wait for its result; to give it up is to hang up. */
  async request(method, params, { signal, notice, headers } = {}) {
    const id = this.wire.number();
    const meta = {
      ...params._meta,
      [`${META}protocolVersion`]: this.revision,
      [`${META}clientInfo`]: CLIENT,
      [`${META}clientCapabilities`]: capabilities(this.settings.offer, this.revision),
    };
    if (notice) {
      meta.progressToken = id;
      meta[`${META}logLevel`] = this.settings.logLevel;
    }
    const message = { jsonrpc: "2.0", id, method, params: { ...params, _meta: meta } };
    let answer;
    const take = (heard) => {
      if (!("method" in heard)) answer ??= heard;
      else if (!("id" in heard)) (notice ?? this.notice)(heard.method, heard.params ?? {});
    };
    try {
      await this.wire.send("POST", { ...this.#mirrored(method, params), ...headers }, message, { signal, take });
    } catch (error) {
      if (error.answer === undefined) throw error;
      answer = error.answer; // a refusal without an id
      if (error.status === 401) throw error;
    }
    if (answer === undefined) throw new Error("The server ended the stream before it answered.");
    if (answer.error) throw new RpcError(answer.error);
    return answer.result ?? {};
  }

  #mirrored(method, params) {
    const headers = { "mcp-protocol-version": this.revision, "mcp-method": method };
    const name = params[NAMED_BY[method]];
    if (typeof name === "string") headers["mcp-name"] = encodeHeader(name);
    return headers;
  }

  /** Hear of changes until `signal` says stop, the server ends the stream, or the connection breaks. */
  async listen(filter, signal, acknowledged) {
    const notice = (method, params) => {
      if (method === "notifications/subscriptions/acknowledged") acknowledged(params.notifications ?? {});
      else this.notice(method, params);
    };
    await this.request("subscriptions/listen", { notifications: filter }, { signal, notice });
  }

  async close() {}
}
