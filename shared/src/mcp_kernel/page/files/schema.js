// JSON Schema as far as a form needs it: what a value may look like, and what a field says of itself.

const MOST_STEPS = 32; // from reference to reference
const MOST_CHOICES = 500;

/** Follow references within the document and fold `allOf` in; what cannot be followed allows anything. */
export function resolve(schema, root) {
  let found = schema;
  for (let step = 0; isObject(found) && typeof found.$ref === "string"; step += 1) {
    const { $ref, ...beside } = found;
    const target = step < MOST_STEPS ? locate($ref, root) : {};
    found = { ...object(target), ...beside };
  }
  if (!isObject(found)) return {};
  if (!Array.isArray(found.allOf)) return found;
  const { allOf, ...own } = found;
  const parts = allOf.slice(0, MOST_STEPS).map((part) => (part?.$ref ? (isObject(locate(part.$ref, root)) ? locate(part.$ref, root) : {}) : part));
  return parts.filter(isObject).reduce(merge, own);
}

function merge(one, other) {
  const properties = { ...object(one.properties), ...object(other.properties) };
  const required = [...new Set([...array(one.required), ...array(other.required)])];
  return { ...other, ...one, ...(Object.keys(properties).length && { properties }), ...(required.length && { required }) };
}

function locate(reference, root) {
  if (reference === "#") return root;
  if (!reference.startsWith("#")) return {};
  if (!reference.startsWith("#/")) return Object.values(root?.$defs ?? {}).find((each) => each?.$anchor === reference.slice(1)) ?? {};
  let found = root;
  for (const part of reference.slice(2).split("/")) {
    const name = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    found = isObject(found) || Array.isArray(found) ? (Object.hasOwn(found, name) ? found[name] : undefined) : undefined;
  }
  return found ?? {};
}

/**
 * What field a schema wants, with the schema that is left of it: `choice` (with `choices` of `{ value, title }`), `several`
 * (a list of choices), `variants`, `object`, `list`, `string`, `number`, `integer`, `boolean`, or `json` for all else.
 * `nullable` tells whether null is allowed beside.
 */
export function read(given, root, depth = 0) {
  if (depth > MOST_STEPS) return { kind: "json", schema: {} };
  const schema = resolve(given, root);
  const choices = readChoices(schema);
  if (choices) return { kind: "choice", schema, choices };
  const alternatives = array(schema.anyOf ?? schema.oneOf).map((each) => resolve(each, root));
  const types = Array.isArray(schema.type) ? schema.type : schema.type ? [schema.type] : [];
  if (alternatives.length && !isObject(schema.properties)) {
    const rest = alternatives.filter((each) => each.type !== "null");
    const { anyOf: _a, oneOf: _o, ...beside } = schema;
    const nullable = rest.length < alternatives.length;
    if (rest.length === 1) return { ...read({ ...rest[0], ...beside }, root, depth + 1), nullable };
    return { kind: "variants", schema, nullable, variants: rest.slice(0, MOST_STEPS) };
  }
  if (types.length > 1) {
    const rest = types.filter((type) => type !== "null");
    const nullable = rest.length < types.length;
    if (rest.length === 1) return { ...read({ ...schema, type: rest[0] }, root, depth + 1), nullable };
    return { kind: "variants", schema, nullable, variants: rest.map((type) => ({ ...schema, type })) };
  }
  const type = types[0] ?? (isObject(schema.properties) ? "object" : schema.items ? "array" : undefined);
  if (type === "array") return readList(schema, root);
  if (type === "object") return { kind: isObject(schema.properties) || schema.additionalProperties !== false ? "object" : "json", schema };
  if (["string", "number", "integer", "boolean"].includes(type)) return { kind: type, schema };
  return { kind: "json", schema };
}

function readList(schema, root) {
  const items = isObject(schema.items) ? schema.items : {};
  const choices = readChoices(resolve(items, root), true);
  if (choices) return { kind: "several", schema, choices };
  return { kind: isObject(schema.items) && Object.keys(items).length ? "list" : "json", schema, items };
}

function readChoices(schema, several = false) {
  if ("const" in schema) return [{ value: schema.const, title: schema.title ?? show(schema.const) }];
  if (Array.isArray(schema.enum) && schema.enum.length <= MOST_CHOICES) {
    return schema.enum.map((value, at) => ({ value, title: schema.enumNames?.[at] ?? show(value) }));
  }
  const titled = schema.oneOf ?? (several || schema.type === "string" ? schema.anyOf : undefined);
  if (Array.isArray(titled) && titled.length && titled.every((each) => isObject(each) && "const" in each)) {
    return titled.map((each) => ({ value: each.const, title: each.title ?? show(each.const) }));
  }
  return null;
}

/** What a field says of the values that it takes, in a few words. */
export function describe(schema) {
  const says = [];
  const between = (low, high, what) => {
    if (low !== undefined && high !== undefined) says.push(`${what}${low}–${high}`);
    else if (low !== undefined) says.push(`${what}≥ ${low}`);
    else if (high !== undefined) says.push(`${what}≤ ${high}`);
  };
  if (schema.format) says.push(String(schema.format));
  between(schema.minimum, schema.maximum, "");
  if (schema.exclusiveMinimum !== undefined) says.push(`> ${schema.exclusiveMinimum}`);
  if (schema.exclusiveMaximum !== undefined) says.push(`< ${schema.exclusiveMaximum}`);
  if (schema.multipleOf !== undefined) says.push(`a multiple of ${schema.multipleOf}`);
  between(schema.minLength, schema.maxLength, "length ");
  between(schema.minItems, schema.maxItems, "items ");
  if (schema.pattern) says.push(`matches ${schema.pattern}`);
  if (schema["x-mcp-header"]) says.push(`also sent as Mcp-Param-${schema["x-mcp-header"]}`);
  return says.join(" · ");
}

/** The type as one reads it: `string`, `integer | null`, `list of string`. */
export function typeName(given, root) {
  const { kind, schema, nullable, variants, items } = read(given, root);
  const name = {
    choice: "one of", several: "some of", json: "any", object: "object",
    list: items ? `list of ${items.$ref ? "object" : (resolve(items, root).type ?? "any")}` : "list",
    variants: variants?.map((each) => each.title ?? each.type ?? "any").join(" | "),
  }[kind] ?? kind;
  return `${kind === "json" && schema.type ? schema.type : name}${nullable ? " | null" : ""}`;
}

/** Rules that no single field can show, so that the server alone holds a call to them. */
export const hasFurtherRules = (schema) =>
  isObject(schema) && ["if", "not", "dependentRequired", "dependentSchemas", "patternProperties", "minProperties"].some((word) => word in schema);

const array = (value) => (Array.isArray(value) ? value : []);
const object = (value) => (isObject(value) ? value : {});
export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const show = (value) => (typeof value === "string" ? value : JSON.stringify(value));
