// What there is to speak, and what both eras have in common.

export const MODERN = ["2026-07-28"];
export const LEGACY = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
export const LOG_LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
export const CLIENT = { name: "mcp-kernel-page", title: "Console", version: "0.1.0" };
export const TASKS = "io.modelcontextprotocol/tasks";

/** A JSON-RPC error. */
export class RpcError extends Error {
  constructor(error) {
    super(String(error?.message ?? "an error without a message"));
    this.code = error?.code;
    this.data = error?.data;
    this.wire = error;
  }
}

/** What a person let this page offer to servers, as the wire's `ClientCapabilities` of a revision. */
export function capabilities(offer, revision) {
  const declared = {};
  if (offer.form || offer.url) {
    declared.elicitation = { ...(offer.form && { form: {} }), ...(offer.url && { url: {} }) };
    if (revision < "2025-11-25") declared.elicitation = {}; // there were only forms
    if (revision < "2025-06-18" || (revision < "2025-11-25" && !offer.form)) delete declared.elicitation;
  }
  if (offer.sampling) declared.sampling = revision >= "2025-11-25" && offer.tools ? { tools: {} } : {};
  if (offer.roots) declared.roots = {};
  if (offer.tasks && MODERN.includes(revision)) declared.extensions = { [TASKS]: {} };
  return declared;
}
