// Fields that hold fields: objects, lists, and values of one kind or another. Inner fields are made when they are
// wanted, so that a schema that contains itself does no harm.

import { button, el, fill } from "./dom.js";
import { Misfit, field, json } from "./fields.js";
import { isObject, read as shapeOf } from "./schema.js";

const DEEPEST = 8;

export function composite(shape, about) {
  if ((about.depth ?? 0) >= DEEPEST) return json(shape, about);
  return { object, list, variants }[shape.kind](shape, { ...about, depth: (about.depth ?? 0) + 1 });
}

/** The fields of an object, for a whole form or for a part of one. */
export function members(schema, about) {
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const properties = isObject(schema.properties) ? schema.properties : {};
  const fields = Object.entries(properties).map(([name, given]) => {
    const made = field(given, { ...about, remove: undefined, name, required: required.has(name), suggest: about.suggestFor?.(name) });
    const preset = isObject(given) ? shapeOf(given, about.root).schema.default : undefined;
    made.write(preset === null && !required.has(name) ? undefined : preset);
    return [name, made];
  });
  return {
    elements: fields.map(([, made]) => made.element),
    focus: () => fields[0]?.[1].focus(),
    write: (value) => fields.forEach(([name, made]) => made.write(isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined)),
    read: () => {
      const value = {};
      let misfit;
      for (const [name, made] of fields) {
        try {
          const inner = made.read();
          if (inner !== undefined) Object.defineProperty(value, name, { value: inner, enumerable: true, configurable: true, writable: true });
        } catch (error) {
          misfit ??= error; // each field says what is wrong with it
        }
      }
      if (misfit) throw misfit;
      return value;
    },
  };
}

function object({ schema }, about) {
  if (!isObject(schema.properties)) return pairs(schema, about);
  const body = el("div", { class: "nest" });
  let inner = null;
  const open = () => {
    inner = members(schema, about);
    fill(body, inner.elements, about.required ? null : button("leave out", close, { class: "quiet" }));
  };
  const close = () => {
    inner = null;
    fill(body, button("fill in", () => { open(); inner.focus(); }, { class: "quiet" }));
  };
  if (about.required) open();
  else close();
  return {
    control: body, group: true,
    focus: () => (inner ? inner.focus() : body.querySelector("button")?.focus()),
    write: (value) => {
      if (value === undefined || value === null) return about.required ? open() : close();
      open();
      inner.write(value);
    },
    read: () => inner?.read(),
  };
}

/** Names that the schema does not give, with values of one kind. */
function pairs(schema, about) {
  const rows = el("div", { class: "nest" });
  const given = new Map();
  const add = (name = "", value = undefined) => {
    const key = el("input", { type: "text", "aria-label": "Name", placeholder: "name", class: "key" });
    key.value = name;
    const remove = () => { given.delete(key); row.remove(); };
    const made = field(isObject(schema.additionalProperties) ? schema.additionalProperties : {}, { ...about, name: "value", required: true, remove });
    made.write(value);
    given.set(key, made);
    const row = el("div", { class: "pair" }, key, made.element);
    more.before(row);
    return key;
  };
  const more = button("add a member", () => add().focus(), { class: "quiet" });
  rows.append(more);
  return {
    control: rows, group: true, focus: () => more.focus(),
    write: (value) => {
      given.clear();
      fill(rows, more);
      for (const [name, inner] of Object.entries(isObject(value) ? value : {})) add(name, inner);
    },
    read: () => {
      if (!given.size && !about.required) return undefined;
      return Object.fromEntries([...given].map(([key, made]) => [key.value, made.read()]));
    },
  };
}

function list({ schema, items }, about) {
  const rows = el("div", { class: "nest" });
  let fields = [];
  const add = (value) => {
    const made = field(items, { ...about, name: `${fields.length + 1}`, required: true, suggest: undefined, remove: () => remove(made) });
    if (value !== undefined) made.write(value);
    fields.push(made);
    more.before(made.element);
    return made;
  };
  const remove = (made) => {
    fields = fields.filter((each) => each !== made);
    made.element.remove();
    more.focus();
  };
  const more = button("add an item", () => add(shapeOf(items, about.root).schema.default).focus(), { class: "quiet" });
  rows.append(more);
  return {
    control: rows, group: true, focus: () => more.focus(),
    write: (values) => {
      fields = [];
      fill(rows, more);
      for (const value of Array.isArray(values) ? values : []) add(value);
    },
    read: () => {
      if (!fields.length && !about.required) return undefined;
      const values = fields.map((made) => made.read());
      if (values.length < (schema.minItems ?? 0)) throw new Misfit(`At least ${schema.minItems} items.`);
      if (values.length > (schema.maxItems ?? Infinity)) throw new Misfit(`At most ${schema.maxItems} items.`);
      return values;
    },
  };
}

function variants({ variants: each }, about) {
  const body = el("div", { class: "nest" });
  const title = (variant, at) => variant.title ?? (Array.isArray(variant.type) ? variant.type.join(" | ") : variant.type) ?? `kind ${at + 1}`;
  const pick = el("select", { id: about.id, "aria-label": `Kind of ${about.name}` },
    el("option", { value: "" }, about.required ? "choose a kind" : "left out"), each.map((variant, at) => el("option", { value: at }, title(variant, at))));
  let inner = null;
  const choose = (at) => {
    pick.value = at === undefined ? "" : String(at);
    inner = at === undefined ? null : field(each[at], { ...about, required: true, remove: undefined, name: title(each[at], at) });
    fill(body, pick, inner?.element);
  };
  pick.addEventListener("change", () => choose(pick.value === "" ? undefined : Number(pick.value)));
  choose(undefined);
  return {
    input: pick, control: body, focus: () => pick.focus(),
    write: (value) => {
      if (value === undefined) return choose(undefined);
      const at = each.findIndex((variant) => fits(variant.type, value));
      choose(at < 0 ? 0 : at);
      inner.write(value);
    },
    read: () => inner?.read(),
  };
}

function fits(type, value) {
  const own = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
  return [type].flat().some((each) => each === own || (each === "integer" && Number.isInteger(value)));
}
