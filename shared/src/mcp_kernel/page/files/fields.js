// Fields of a form: each makes its element and reads its value, `undefined` where it is left out.

import { button, el, fill } from "./dom.js";
import { composite } from "./composites.js";
import { describe, read, typeName } from "./schema.js";

const LONG = /(^|_)(sql|text|content|body|message|description|prompt|question|markdown|code|diff|statement|newtext|oldtext)$/i;
const INPUTS = { date: "date", "date-time": "text", email: "email", uri: "url", time: "time", password: "password" };
let serial = 0;

/** A value does not fit; thrown by `read`, after the field has said so. */
export class Misfit extends Error {}

/**
 * Make the field of a schema: `{ element, read, write, focus }`.
 * `about` is `{ name, required, root, depth, suggest }`; `suggest(typed)` gives completions.
 */
export function field(given, about) {
  const shape = read(given, about.root);
  const id = `field-${++serial}`;
  const say = el("p", { class: "misfit", id: `${id}-misfit`, role: "alert", hidden: true });
  const make = { choice, several, boolean, string: text, number, integer: number, json }[shape.kind] ?? composite;
  const inner = make(shape, { ...about, id });
  const nil = shape.nullable && shape.kind !== "json" ? el("input", { type: "checkbox", "aria-label": `${about.name} is null` }) : null;
  nil?.addEventListener("change", () => inner.control.toggleAttribute("inert", nil.checked));
  const complain = (message) => {
    say.textContent = message ?? "";
    say.hidden = !message;
    inner.input?.setAttribute("aria-invalid", String(Boolean(message)));
  };
  return {
    element: lay(shape, about, { id, inner, nil, say }),
    focus: () => inner.focus(),
    write(value) {
      if (nil) {
        nil.checked = value === null;
        inner.control.toggleAttribute("inert", nil.checked);
      }
      if (!(nil && value === null)) inner.write(value);
    },
    read() {
      complain(null);
      try {
        const value = nil?.checked ? null : inner.read();
        if (value === undefined && about.required) throw new Misfit("This is needed.");
        return value;
      } catch (error) {
        if (!error.shown) complain(error.message);
        error.shown = true;
        error.focus ??= () => inner.focus();
        throw error;
      }
    },
  };
}

/** Put a field's parts in their places: name, type, what it is for, the control, what is wrong. */
function lay(shape, about, { id, inner, nil, say }) {
  const { schema } = shape;
  const hints = [schema.description, describe(schema)].filter(Boolean);
  const hint = hints.length ? el("p", { class: "hint", id: `${id}-hint` }, hints.join(" · ")) : null;
  inner.input?.setAttribute("aria-describedby", `${hint ? `${id}-hint ` : ""}${id}-misfit`);
  const head = el("div", { class: "field-head" },
    el(inner.group ? "span" : "label", inner.group ? { id: `${id}-name`, class: "name" } : { for: id, class: "name" }, schema.title ?? about.name),
    schema.title && schema.title !== about.name ? el("code", { class: "dim" }, about.name) : null,
    el("span", { class: "type" }, typeName(schema, about.root)),
    about.required ? el("span", { class: "needed", title: "needed" }, "needed") : null,
    nil ? el("label", { class: "nil" }, nil, "null") : null,
    about.remove ? button("×", about.remove, { class: "quiet", title: `Remove ${about.name}`, "aria-label": `Remove ${about.name}` }) : null,
  );
  const row = { class: `field ${shape.kind}`, ...(inner.group && { role: "group", "aria-labelledby": `${id}-name` }) };
  return el("div", row, head, hint, inner.control, say);
}

function text({ schema }, { id, name, suggest }) {
  const long = schema.maxLength > 200 || (schema.maxLength === undefined && LONG.test(name ?? ""));
  const list = suggest ? el("datalist", { id: `${id}-list` }) : null;
  const input = long
    ? el("textarea", { id, rows: 2, spellcheck: "false", class: /sql|code|diff|statement/i.test(name) ? "mono" : null })
    : el("input", { id, type: INPUTS[schema.format] ?? "text", list: list && `${id}-list`, autocomplete: "off", spellcheck: "false" });
  if (suggest) {
    let last = 0;
    const ask = async () => {
      const mine = ++last;
      const values = await suggest(input.value);
      if (mine === last) fill(list, values.map((value) => el("option", { value })));
    };
    input.addEventListener("focus", ask);
    input.addEventListener("input", ask);
  }
  const written = { value: undefined };
  input.addEventListener("input", () => (written.value = undefined));
  return {
    input, control: list ? el("div", {}, input, list) : input, focus: () => input.focus(),
    write: (value) => {
      input.value = value ?? "";
      written.value = value; // an empty text that was there is no text that was left out
    },
    read: () => {
      const value = input.value === "" ? written.value : input.value;
      if (value === undefined || value === null) return undefined;
      if (value.length < (schema.minLength ?? 0)) throw new Misfit(`At least ${schema.minLength} characters.`);
      if ([...value].length > (schema.maxLength ?? Infinity)) throw new Misfit(`At most ${schema.maxLength} characters.`);
      return value;
    },
  };
}

function number({ kind, schema }, { id }) {
  const input = el("input", { id, type: "text", inputmode: kind === "integer" ? "numeric" : "decimal", autocomplete: "off", class: "number" });
  return {
    input, control: input, focus: () => input.focus(),
    write: (value) => (input.value = value ?? ""),
    read: () => {
      const typed = input.value.trim();
      if (typed === "") return undefined;
      const value = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(typed) ? Number(typed) : NaN;
      if (!Number.isFinite(value)) throw new Misfit("This is no number.");
      if (kind === "integer" && !Number.isInteger(value)) throw new Misfit("This is no whole number.");
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new Misfit("A browser cannot hold this number exactly.");
      if (value < schema.minimum || value <= schema.exclusiveMinimum || value > schema.maximum || value >= schema.exclusiveMaximum) {
        throw new Misfit(`It must be ${describe({ ...schema, format: undefined })}.`);
      }
      return value;
    },
  };
}

function boolean({ schema }, { id, required }) {
  if (required || typeof schema.default === "boolean") {
    const input = el("input", { id, type: "checkbox" });
    return {
      input, control: el("div", { class: "tick" }, input, el("label", { for: id }, "yes")), focus: () => input.focus(),
      write: (value) => (input.checked = value === true),
      read: () => input.checked,
    };
  }
  return choice({ schema, choices: [{ value: true, title: "yes" }, { value: false, title: "no" }] }, { id, required });
}

function choice({ choices }, { id, required }) {
  const only = choices.length === 1 && required;
  const input = el("select", { id }, only ? null : el("option", { value: "" }, "—"),
    choices.map(({ title }, at) => el("option", { value: at }, title)));
  return {
    input, control: input, focus: () => input.focus(),
    write: (value) => {
      const at = choices.findIndex((each) => JSON.stringify(each.value) === JSON.stringify(value));
      input.value = at < 0 ? (only ? "0" : "") : String(at);
    },
    read: () => (input.value === "" ? undefined : choices[Number(input.value)].value),
  };
}

function several({ schema, choices }, { required }) {
  const boxes = choices.map(({ title }) => [el("input", { type: "checkbox" }), title]);
  const control = el("div", { class: "several" }, boxes.map(([box, title]) => el("label", {}, box, title)));
  return {
    control, group: true, focus: () => boxes[0]?.[0].focus(),
    write: (values) => {
      const given = new Set((Array.isArray(values) ? values : []).map((value) => JSON.stringify(value)));
      boxes.forEach(([box], at) => (box.checked = given.has(JSON.stringify(choices[at].value))));
    },
    read: () => {
      const values = choices.filter((_, at) => boxes[at][0].checked).map(({ value }) => value);
      if (values.length === 0 && !required) return undefined;
      if (values.length < (schema.minItems ?? 0)) throw new Misfit(`At least ${schema.minItems}.`);
      if (values.length > (schema.maxItems ?? Infinity)) throw new Misfit(`At most ${schema.maxItems}.`);
      return values;
    },
  };
}

/** Any value, written as JSON: for what no other field can show. */
export function json(_shape, { id }) {
  const input = el("textarea", { id, rows: 2, spellcheck: "false", class: "mono", placeholder: "JSON" });
  return {
    input, control: input, focus: () => input.focus(),
    write: (value) => (input.value = value === undefined ? "" : JSON.stringify(value, null, 2)),
    read: () => {
      if (input.value.trim() === "") return undefined;
      try {
        return JSON.parse(input.value);
      } catch (error) {
        throw new Misfit(`This is no JSON: ${error.message}`);
      }
    },
  };
}

