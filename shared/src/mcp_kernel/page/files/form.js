// A form made from a JSON Schema of an object, beside the same value as JSON, which takes what the fields refuse.

import { el, fill, tabs } from "./dom.js";
import { members } from "./composites.js";
import { json } from "./fields.js";
import { hasFurtherRules, resolve } from "./schema.js";

let serial = 0;

/**
 * Make a form: `{ element, read, write, focus }`. `read` throws where a field does not fit, after it has said so.
 * `suggestFor(name)` gives the completions of a field, as a function of what was typed.
 */
export function form(given, { suggestFor, label = "Arguments" } = {}) {
  const schema = resolve(given, given);
  const inner = members(schema, { root: given, suggestFor });
  const raw = json({}, { id: `raw-${++serial}` });
  raw.input.rows = 8;
  raw.input.setAttribute("aria-label", `${label} as JSON`);
  const wrong = el("p", { class: "misfit", role: "alert", hidden: true });
  const body = el("div", { class: "fields" });
  let shown = "Form";
  const say = (error) => {
    wrong.textContent = error?.message ?? "";
    wrong.hidden = !error;
  };
  const readRaw = () => {
    say(null);
    try {
      return raw.read() ?? {};
    } catch (error) {
      say(error);
      error.focus = raw.focus;
      throw error;
    }
  };
  const empty = el("p", { class: "hint" }, "Nothing to fill in.");
  const show = (name) => {
    if (name === shown && body.children.length) return true;
    if (name === "JSON") {
      const { value, whole } = half(inner);
      if (whole || !raw.input.value) raw.write(value);
      fill(body, raw.control, wrong);
    } else {
      try {
        if (raw.input.value) inner.write(readRaw());
      } catch {
        return false; // what is no JSON stays to be mended
      }
      fill(body, inner.elements.length ? inner.elements : empty);
    }
    shown = name;
    return true;
  };
  const bar = tabs(["Form", "JSON"], "Form", show, label);
  const rules = hasFurtherRules(schema) ? el("p", { class: "hint" }, "The schema has further rules, which the server holds a call to.") : null;
  return {
    element: el("div", { class: "form" }, el("div", { class: "form-head" }, el("h3", {}, label), bar), rules, body),
    focus: () => (shown === "Form" ? inner.focus() : raw.focus()),
    read: () => (shown === "Form" ? inner.read() : readRaw()),
    write: (value) => {
      inner.write(value);
      raw.write(value);
    },
  };
}

/** The value of fields that may not all fit yet. */
function half(inner) {
  try {
    return { value: inner.read(), whole: true };
  } catch {
    return { value: {}, whole: false };
  }
}
