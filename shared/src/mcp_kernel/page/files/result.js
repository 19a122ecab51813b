// What a call came to: its data, its content, and the JSON as it travelled.

import { el, fill, tabs } from "./dom.js";
import { content } from "./content.js";
import { looksLikeDiff } from "./diff.js";
import { tree, write } from "./json.js";
import { data, isTabular } from "./table.js";

/** Show the result of a tool; what reads best comes first. */
export function toolResult(result, open) {
  const structured = result.structuredContent;
  const views = {};
  const blocks = Array.isArray(result.content) ? result.content : [];
  const showData = () => data(structured);
  const showContent = () => content(blocks, open);
  if (structured === undefined) views.Content = showContent;
  else if (blocks.some((each) => typeof each?.text === "string" && looksLikeDiff(each.text))) Object.assign(views, { Content: showContent, Data: showData });
  else if (isTabular(structured)) Object.assign(views, { Table: showData, Content: showContent });
  else if (repeats(blocks, structured)) Object.assign(views, { Data: showData, Content: showContent });
  else Object.assign(views, { Content: showContent, Data: showData });
  views.JSON = () => tree(result);
  return shown(views, result.isError === true);
}

/** Whether the content says no more than the data: nothing, or the same as JSON. */
function repeats(blocks, structured) {
  if (blocks.length !== 1 || blocks[0]?.type !== "text") return blocks.length === 0;
  try {
    return write(JSON.parse(blocks[0].text)) === write(structured);
  } catch {
    return false;
  }
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
