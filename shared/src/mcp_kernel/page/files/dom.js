// Elements, made one by one. A text becomes a text node: nothing on this page reads markup, whoever wrote it.

// What a reader cannot see, or what turns the direction of what follows: control characters but tab and line feed, soft
// hyphen, zero-width and bidirectional marks, fillers, tags.
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\u{e0000}-\u{e0fff}]/gu;

/** Spell out what would not be seen, as ‹u+202e›. A joiner between two emoji is what makes them one, and stays. */
export function visible(text) {
  return text.replace(/\r\n/g, "\n").replace(UNSEEN, (character, at, whole) => {
    const joins = character === "\u200d" && /\p{Extended_Pictographic}\ufe0f?$/u.test(whole.slice(Math.max(at - 3, 0), at));
    return joins ? character : `‹u+${character.codePointAt(0).toString(16).padStart(4, "0")}›`;
  });
}

/**
 * Make an element. Names of options and tags are this page's own; `on` holds listeners, `data` what CSS and tests look
 * for, and all else is an attribute, left out where it is null, undefined or false.
 */
export function el(tag, options, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(element.dataset, value);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  put(element, ...children);
  return element;
}

/** Append children: nodes as they are, all else as text. */
export function put(element, ...children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(visible(String(child))));
  }
  return element;
}

/** Put children in the place of those that are there. */
export function fill(element, ...children) {
  element.replaceChildren();
  return put(element, ...children);
}

/** A button that does not submit. */
export function button(text, action, options = {}) {
  return el("button", { type: "button", ...options, on: { click: action } }, text);
}

/** A link to elsewhere, where its address is one that may be followed; else the text and the address, to be read. */
export function anchor(address, ...children) {
  const safe = followable(address);
  if (safe === null) return el("span", { class: "refused", title: "not a link that this page follows" }, children, ` (${address})`);
  return el("a", { href: safe, target: "_blank", rel: "noopener noreferrer", title: safe }, children);
}

/** The address as a browser would follow it; null for anything but http, https and mailto. */
export function followable(address) {
  try {
    const parsed = new URL(address); // not relative: a server's addresses are not this page's
    return ["http:", "https:", "mailto:"].includes(parsed.protocol) ? parsed.href : null;
  } catch {
    return null;
  }
}

/** Tabs of which one is chosen; `choose` hears of the new one, and says false to stay with the old. */
export function tabs(names, chosen, choose, label) {
  const bar = el("div", { class: "tabs", role: "tablist", "aria-label": label });
  const select = (name, focus) => {
    if (choose(name) === false) return;
    for (const tab of bar.children) {
      const on = tab.dataset.name === name;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      if (on && focus) tab.focus();
    }
  };
  for (const name of names) {
    put(bar, el("button", { type: "button", role: "tab", data: { name }, on: { click: () => select(name) } }, name));
  }
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = [...bar.children].indexOf(document.activeElement);
    if (step && at >= 0) select(names[(at + step + names.length) % names.length], true);
  });
  select(chosen);
  return bar;
}

/** A button that copies a text. */
export function copier(give, title = "Copy") {
  const copy = button("copy", async () => {
    await navigator.clipboard.writeText(give());
    copy.textContent = "copied";
    setTimeout(() => (copy.textContent = "copy"), 1200);
  }, { class: "quiet", title });
  return copy;
}

/** Bytes or seconds, short. */
export const size = (bytes) => (bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
export const span = (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
