// What a call came to: its data, its content, and the JSON as it travelled.

import { el, fill, tabs } from "./dom.js";
import { content } from "./content.js";
import { tree } from "./json.js";
import { data, isTabular } from "./table.js";

/** Show the result of a tool; what reads best comes first. */
export function toolResult(result, open) {
  const structured = result.structuredContent;
  const views = {};
  const showContent = () => content(result.content ?? [], open);
  const name = isTabular(structured) ? "Table" : "Data";
  const hasTable = structured !== undefined && name === "Table";
  if (hasTable) views[name] = () => data(structured);
  if (structured === undefined || (Array.isArray(result.content) && result.content.length)) views.Content = showContent;
  if (structured !== undefined && !hasTable) views[name] = () => data(structured);
  views.JSON = () => tree(result);
  return shown(views, result.isError === true);
}

/** Show the messages of a prompt. */
export function promptResult(result, open) {
  const messages = Array.isArray(result.messages) ? result.messages : [];
  const show = (message) => el("section", { class: "message" }, el("h4", {}, String(message?.role ?? "?")), content(message?.content ?? [], open));
  return shown({
    Messages: () => el("div", {}, result.description ? el("p", { class: "hint" }, result.description) : null, messages.map(show)),
    JSON: () => tree(result),
  });
}

/** Several ways to look at one thing. */
export function shown(views, failed = false) {
  const body = el("div", { class: "view" });
  const names = Object.keys(views);
  const bar = tabs(names, names[0], (name) => void fill(body, views[name]()), "How to show the result");
  return el("div", { class: failed ? "result failed" : "result" }, bar, body);
}
