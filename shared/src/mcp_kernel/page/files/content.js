// Content blocks, as tools, prompts and resources give them. All of it was written elsewhere: text is shown as text, and a
// picture or a sound only of a kind that cannot run.

import { anchor, button, copier, el, fill, put, size, tabs } from "./dom.js";
import { diff, looksLikeDiff } from "./diff.js";
import { tree } from "./json.js";
import { looksLikeMarkdown, markdown } from "./markdown.js";
import { isObject } from "./schema.js";

const UNTRUSTED = "io.github.mcp-reference-servers/untrusted";
const LONGEST = 50_000; // characters of a text that are shown at once
const MOST_BLOCKS = 200;
const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"]; // no SVG, which is a document
const SOUNDS = ["audio/wav", "audio/x-wav", "audio/wave", "audio/mpeg", "audio/mp3", "audio/ogg", "audio/webm", "audio/mp4", "audio/aac", "audio/flac"];

/** Show blocks one below the other; `open(uri)` follows a link to a resource. */
export function content(blocks, open) {
  const shown = (Array.isArray(blocks) ? blocks : [blocks]).filter(isObject);
  const left = shown.length - MOST_BLOCKS;
  return el("div", { class: "content" }, shown.slice(0, MOST_BLOCKS).map((each) => block(each, open)),
    left > 0 ? el("p", { class: "hint" }, `${left} blocks more, in the JSON.`) : null,
    shown.length ? null : el("p", { class: "hint" }, "No content."));
}

function block(given, open) {
  const made = inner(given, open);
  const sources = given._meta?.[UNTRUSTED]?.sources;
  const audience = given.annotations?.audience;
  const notes = Array.isArray(audience) ? el("p", { class: "hint" }, `for ${audience.join(" and ")}`) : null;
  if (sources === undefined) return el("div", { class: "block" }, notes, made);
  return el("div", { class: "block untrusted" },
    el("p", { class: "badge" }, `untrusted: ${Array.isArray(sources) ? sources.join(", ") : "from elsewhere"}`), notes, made);
}

function inner(given, open) {
  switch (given.type) {
    case "text": return text(String(given.text ?? ""));
    case "image": return picture(given.data, given.mimeType);
    case "audio": return sound(given.data, given.mimeType);
    case "resource": return isObject(given.resource) ? resource(given.resource) : tree(given);
    case "resource_link": return link(given, open);
    default: return tree(given);
  }
}

/** A text as it reads best, and as it is. `mime` decides where it is known. */
export function text(given, mime = "") {
  const views = {};
  const parsed = /json$/.test(mime) || /^\s*[[{]/.test(given) ? parse(given) : undefined;
  if (looksLikeDiff(given)) views.Diff = () => diff(given);
  else if (parsed !== undefined) views.JSON = () => tree(parsed);
  else if (mime === "text/markdown" || (!mime && looksLikeMarkdown(given))) views.Markdown = () => markdown(given);
  views.Text = () => plain(given);
  const names = Object.keys(views);
  if (names.length === 1) return plain(given);
  const body = el("div");
  return el("div", {}, tabs(names, names[0], (name) => void fill(body, views[name]()), "How to show the text"), body);
}

function plain(given) {
  const shown = el("pre", { class: "plain" }, given.slice(0, LONGEST));
  if (given.length <= LONGEST) return el("div", { class: "copied" }, copier(() => given), shown);
  let at = LONGEST;
  const more = button("", () => {
    put(shown, given.slice(at, at + LONGEST));
    at += LONGEST;
    label();
  }, { class: "quiet" });
  const label = () => (at >= given.length ? more.remove() : (more.textContent = `${given.length - at} characters more`));
  label();
  return el("div", { class: "copied" }, copier(() => given), shown, more);
}

function picture(data, mime) {
  const kind = String(mime).toLowerCase();
  if (!PICTURES.includes(kind)) return bytes(data, kind);
  const image = el("img", { src: `data:${kind};base64,${base64(data)}`, alt: `a picture of type ${kind}` });
  const note = el("figcaption", { class: "hint" }, kind);
  image.addEventListener("load", () => fill(note, `${kind}, ${image.naturalWidth} × ${image.naturalHeight}`));
  image.addEventListener("error", () => fill(note, `${kind}, which the browser cannot read`));
  return el("figure", {}, image, note);
}

function sound(data, mime) {
  const kind = String(mime).toLowerCase();
  if (!SOUNDS.includes(kind)) return bytes(data, kind);
  return el("figure", {}, el("audio", { controls: true, src: `data:${kind};base64,${base64(data)}` }), el("figcaption", { class: "hint" }, kind));
}

/** Bytes that are not shown: how many, and a way to keep them. */
function bytes(data, mime) {
  const raw = base64(data);
  const save = button("save", () => {
    const file = new Blob([Uint8Array.from(atob(raw), (each) => each.charCodeAt(0))], { type: "application/octet-stream" });
    download(file, "content.bin");
  }, { class: "quiet" });
  return el("p", {}, `${size(Math.floor((raw.length * 3) / 4))} of ${mime || "an unknown type"} `, save);
}

/** Keep something as a file. */
export function download(file, name) {
  const address = URL.createObjectURL(file);
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

const base64 = (data) => (typeof data === "string" && /^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(data) ? data.replace(/\s/g, "") : "");

/** The content of a resource. */
export function resource(given) {
  const mime = String(given.mimeType ?? "").split(";")[0].toLowerCase();
  const body = typeof given.text === "string" ? text(given.text, mime) : PICTURES.includes(mime) ? picture(given.blob, mime) : SOUNDS.includes(mime) ? sound(given.blob, mime) : bytes(given.blob, mime);
  const sources = given._meta?.[UNTRUSTED]?.sources;
  return el("div", { class: sources ? "resource untrusted" : "resource" },
    el("p", { class: "hint" }, el("code", {}, String(given.uri ?? "")), mime ? ` ${mime}` : "", sources ? el("span", { class: "badge" }, `untrusted: ${[sources].flat().join(", ")}`) : null), body);
}

function link(given, open) {
  const uri = String(given.uri ?? "");
  const name = String(given.title ?? given.name ?? uri);
  return el("div", { class: "resource" },
    open ? button(name, () => open(uri), { class: "link", title: `Read ${uri}` }) : anchor(uri, name),
    el("p", { class: "hint" }, el("code", {}, uri), given.mimeType ? ` ${given.mimeType}` : "", given.description ? ` · ${given.description}` : ""));
}

function parse(given) {
  if (given.length > 2_000_000) return undefined;
  try {
    const value = JSON.parse(given);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
