// Markdown as nodes: headings, paragraphs, lists, tables, code, quotes, emphasis, links. What it does not know stays text,
// markup among it; pictures are links, so that nothing is fetched.

import { anchor, el } from "./dom.js";

const MOST = 40_000; // characters; what is longer is shown as it is
const DEEPEST = 6;
const MARKS = /^(#{1,6} |\s*([-*+]|\d+[.)]) |> |```|\|.*\|\s*$|(-{3,}|\*{3,})\s*$)/;

/** Whether a text looks as if it were written in markdown. */
export function looksLikeMarkdown(text) {
  if (text.length > MOST) return false;
  const lines = text.split("\n");
  const marked = lines.filter((line) => MARKS.test(line)).length;
  return /^#{1,4} \S/m.test(text) || /^```/m.test(text) || (marked >= 2 && marked >= lines.length / 3) || /\*\*\S[^*\n]{0,500}\*\*|\[[^\]\n]{1,500}\]\(\S/.test(text);
}

export function markdown(text) {
  if (text.length > MOST) return el("pre", {}, text);
  return el("div", { class: "markdown" }, blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0));
}

function blocks(lines, depth) {
  const found = [];
  for (let at = 0; at < lines.length; ) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const [made, next] = fence(lines, at) ?? heading(lines, at) ?? rule(lines, at) ?? quote(lines, at, depth) ?? table(lines, at) ?? list(lines, at, depth) ?? paragraph(lines, at);
    found.push(made);
    at = next;
  }
  return found;
}

function fence(lines, at) {
  const opened = /^ {0,3}(`{3,}|~{3,})\s*([\w+-]*)/.exec(lines[at]);
  if (!opened) return null;
  let end = at + 1;
  while (end < lines.length && !lines[end].trim().startsWith(opened[1])) end += 1;
  return [el("pre", {}, el("code", { data: { language: opened[2] } }, lines.slice(at + 1, end).join("\n"))), end + 1];
}

function heading(lines, at) {
  const found = /^ {0,3}(#{1,6})\s+(.*)$/.exec(lines[at]);
  if (!found) return null;
  return [el(`h${Math.min(found[1].length + 2, 6)}`, {}, inline(found[2], 0)), at + 1];
}

const rule = (lines, at) => (/^ {0,3}([-*_])(\s*\1){2,}\s*$/.test(lines[at]) ? [el("hr"), at + 1] : null);

function quote(lines, at, depth) {
  if (!/^ {0,3}>/.test(lines[at]) || depth >= DEEPEST) return null;
  let end = at;
  while (end < lines.length && /^ {0,3}>/.test(lines[end])) end += 1;
  return [el("blockquote", {}, blocks(lines.slice(at, end).map((line) => line.replace(/^ {0,3}> ?/, "")), depth + 1)), end];
}

function table(lines, at) {
  const ruled = lines[at + 1];
  if (!lines[at].includes("|") || !ruled || ruled.length > 1000 || !/^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(ruled) || !ruled.includes("-")) return null;
  if (cells(lines[at]).length !== cells(ruled).length) return null;
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) end += 1;
  const row = (line, tag) => el("tr", {}, cells(line).map((cell) => el(tag, {}, inline(cell, 0))));
  const body = lines.slice(at + 2, end).map((line) => row(line, "td"));
  return [el("div", { class: "scroll" }, el("table", {}, el("thead", {}, row(lines[at], "th")), el("tbody", {}, body))), end];
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

function list(lines, at, depth) {
  const first = /^(\s*)([-*+]|\d{1,9}[.)])\s+/.exec(lines[at]);
  if (!first || depth >= DEEPEST) return null;
  const ordered = /\d/.test(first[2]);
  const items = [];
  let end = at;
  while (end < lines.length) {
    const marker = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/.exec(lines[end]);
    if (marker && marker[1].length <= first[1].length + 1 && /\d/.test(marker[2]) === ordered) items.push([marker[3]]);
    else if (items.length && /^\s+\S/.test(lines[end]) && (marker || lines[end - 1].trim())) items.at(-1).push(lines[end].replace(/^ {1,4}/, ""));
    else if (items.length && lines[end].trim() && lines[end - 1].trim() && !MARKS.test(lines[end])) items.at(-1).push(lines[end]);
    else break;
    end += 1;
  }
  return [el(ordered ? "ol" : "ul", {}, items.map((item) => el("li", {}, tight(blocks(item, depth + 1))))), end];
}

/** An item of one paragraph stands without its own. */
const tight = (made) => (made[0]?.tagName === "P" ? [[...made[0].childNodes], ...made.slice(1)] : made);

function paragraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !MARKS.test(lines[end])) end += 1;
  return [el("p", {}, inline(lines.slice(at, end).join("\n"), 0)), end];
}

// Every repetition has a bound, or one text could keep the browser busy for minutes.
const INLINE = /(?<!`)(`{1,3})(?!`)([^\n]{1,1000}?)(?<!`)\1(?!`)|!?\[([^[\]\n]{0,500})\]\(\s{0,9}<?((?:[^\s()<>]|\([^\s()<>]{0,200}\)){1,2000})>?(?:\s{1,9}"[^"\n]{0,500}")?\s{0,9}\)|<(https?:\/\/[^\s<>]{1,2000})>|\b(https?:\/\/[^\s<>()"'`]{1,2000}[^\s<>()"'`.,;:!?])|\*\*(?=\S)([^*\n]{1,2000}?\S?)\*\*|(?<![\w*])[*_](?=[^\s*_])([^*_\n]{1,2000})[*_](?![\w*])|\\([\\`*_{}[\]()#+.!|>~-])/;

function inline(text, depth) {
  const found = [];
  let rest = text;
  for (let match; depth < DEEPEST && (match = INLINE.exec(rest)); ) {
    found.push(rest.slice(0, match.index));
    const [whole, , code, label, target, bracketed, bare, strong, emphasis, escaped] = match;
    if (code !== undefined) found.push(el("code", {}, code.trim() || code));
    else if (target !== undefined) found.push(anchor(target, label ? inline(label, depth + 1) : target));
    else if (bracketed || bare) found.push(anchor(bracketed ?? bare, bracketed ?? bare));
    else if (strong !== undefined) found.push(el("strong", {}, inline(strong, depth + 1)));
    else if (emphasis !== undefined) found.push(el("em", {}, inline(emphasis, depth + 1)));
    else found.push(escaped);
    rest = rest.slice(match.index + whole.length);
  }
  found.push(rest);
  return found;
}
