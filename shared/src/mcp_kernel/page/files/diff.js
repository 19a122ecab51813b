// A unified diff: files, hunks, and the lines that went and came, with their numbers.

import { button, el, put } from "./dom.js";

const CHUNK = 2000; // lines that are shown at once

/** Whether a text holds a diff, perhaps after a few words. */
export function looksLikeDiff(text) {
  return /^@@ -\d+(,\d+)? \+\d+(,\d+)? @@/m.test(text) && /^(diff --git |--- |\+\+\+ )/m.test(text);
}

export function diff(text) {
  const at = { old: 0, new: 0, inHunk: false };
  const lines = text.replace(/\n$/, "").split("\n");
  const rows = el("div", { class: "diff", role: "group", "aria-label": "Differences" });
  const grow = (from) => {
    put(rows, lines.slice(from, from + CHUNK).map((line) => row(line, at)));
    const left = lines.length - from - CHUNK;
    if (left <= 0) return;
    const more = button(`${left} lines more`, () => { more.remove(); grow(from + CHUNK); }, { class: "quiet" });
    rows.append(more);
  };
  const count = (sign) => lines.filter((line) => line.startsWith(sign) && !line.startsWith(sign.repeat(3))).length;
  put(rows, el("p", { class: "hint" }, el("span", { class: "came" }, `+${count("+")}`), " ", el("span", { class: "went" }, `−${count("-")}`)));
  grow(0);
  return rows;
}

function row(line, at) {
  const hunk = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/.exec(line);
  if (hunk) {
    Object.assign(at, { old: Number(hunk[1]), new: Number(hunk[2]), inHunk: true });
    return made("hunk", "", "", line);
  }
  if (/^diff --git /.test(line)) at.inHunk = false;
  if (!at.inHunk) return made(/^(diff --git |\+\+\+ )/.test(line) ? "file" : "about", "", "", line);
  if (line.startsWith("+")) return made("added", "", at.new++, line);
  if (line.startsWith("-")) return made("removed", at.old++, "", line);
  if (line.startsWith("\\") || (line && !line.startsWith(" "))) return made("about", "", "", line);
  return made("same", at.old++, at.new++, line);
}

const made = (kind, one, other, line) =>
  el("div", { class: kind }, el("span", { class: "line", "aria-hidden": "true" }, String(one)), el("span", { class: "line", "aria-hidden": "true" }, String(other)), el("code", {}, line || " "));
