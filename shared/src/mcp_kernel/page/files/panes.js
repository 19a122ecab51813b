// What one works with in the middle: a tool, a resource, a template of resources, a prompt.

import { button, el, fill } from "./dom.js";
import { content, resource } from "./content.js";
import { form } from "./form.js";
import { tree } from "./json.js";
import { markdown } from "./markdown.js";
import { promptResult, shown, toolResult } from "./result.js";
import { runner } from "./run.js";

const HINTS = { readOnlyHint: "reads only", destructiveHint: "destroys", idempotentHint: "idempotent", openWorldHint: "reaches out" };

/** A tool: its form, and what its calls came to. */
export function toolPane(connection, tool, open) {
  const args = form(tool.inputSchema ?? {}, {});
  const run = runner({
    verb: "Call", label: "Call", prepare: args.read, restore: args.write,
    send: (input, options) => connection.callTool(tool, input, options),
    render: (result) => toolResult(result, open),
  });
  const hints = Object.entries(HINTS).filter(([hint]) => tool.annotations?.[hint] === true && !(hint === "destructiveHint" && tool.annotations.readOnlyHint));
  const badges = hints.map(([hint, word]) => el("span", { class: hint === "destructiveHint" ? "badge warn" : "badge" }, word));
  return pane(tool.title ?? tool.annotations?.title ?? tool.name, tool, badges, [submits(args.element, run), run.element, schemas(tool)], { run, focus: args.focus });
}

/** A resource: what it holds, read anew when it changes and one is subscribed. */
export function resourcePane(connection, given) {
  const { uri } = given;
  const run = runner({
    verb: "Read", label: "Read", prepare: () => uri,
    send: (input, options) => connection.readResource(input, options), render: (result) => readResult(result),
  });
  const live = subscription(connection, () => uri, run);
  const badges = [given.mimeType ? el("span", { class: "badge" }, given.mimeType) : null, typeof given.size === "number" ? el("span", { class: "badge" }, `${given.size} bytes`) : null];
  const made = pane(given.title ?? given.name ?? uri, { ...given, name: uri }, badges, [live, run.element, schemas(given)], { run, focus: () => made.element.querySelector("button.primary").focus() });
  return { ...made, shown: () => void run.run() };
}

/** A template: its variables, with what the server offers for them, and the resource that they lead to. */
export function templatePane(connection, given) {
  const template = String(given.uriTemplate);
  const names = [...new Set([...template.matchAll(/\{[+#./;?&]?([^}]+)\}/g)].flatMap(([, list]) => list.split(",").map((each) => each.replace(/(\*|:\d+)$/, ""))))];
  const schema = { type: "object", properties: Object.fromEntries(names.map((name) => [name, { type: "string" }])) };
  const variables = form(schema, { label: "Variables", suggestFor: suggestions(connection, { type: "ref/resource", uri: template }, () => variables) });
  const shownUri = el("code");
  let uri = "";
  const run = runner({
    verb: "Read", label: "Read", restore: variables.write,
    prepare: () => {
      const values = variables.read();
      uri = expand(template, values);
      fill(shownUri, uri);
      return values;
    },
    send: (_input, options) => connection.readResource(uri, options), render: (result) => readResult(result),
  });
  const live = subscription(connection, () => uri || expand(template, variables.read()), run);
  return pane(given.title ?? given.name ?? template, { ...given, name: template }, [given.mimeType ? el("span", { class: "badge" }, given.mimeType) : null],
    [submits(variables.element, run), el("p", { class: "hint" }, shownUri), live, run.element, schemas(given)], { run, focus: variables.focus });
}

/** A prompt: its arguments, and the messages that it makes. */
export function promptPane(connection, prompt, open) {
  const given = Array.isArray(prompt.arguments) ? prompt.arguments : [];
  const schema = {
    type: "object", required: given.filter((each) => each.required).map((each) => each.name),
    properties: Object.fromEntries(given.map((each) => [each.name, { type: "string", title: each.title, description: each.description }])),
  };
  const args = form(schema, { suggestFor: suggestions(connection, { type: "ref/prompt", name: prompt.name }, () => args) });
  const run = runner({
    verb: "Get", label: "Get the prompt", prepare: args.read, restore: args.write,
    send: (input, options) => connection.getPrompt(prompt.name, input, options), render: (result) => promptResult(result, open),
  });
  return pane(prompt.title ?? prompt.name, prompt, [], [submits(args.element, run), run.element, schemas(prompt)], { run, focus: args.focus });
}

function pane(title, given, badges, parts, more) {
  const name = given.name !== title ? el("code", { class: "dim" }, given.name) : null;
  const description = given.description ? el("div", { class: "description" }, markdown(String(given.description))) : null;
  return { ...more, element: el("article", { class: "pane" }, el("header", {}, el("h2", { tabindex: "-1" }, title), name, badges), description, parts) };
}

/** The form, sent by Enter in a field of one line. */
function submits(element, run) {
  return el("form", { on: { submit: (event) => { event.preventDefault(); run.run(); } } }, element, el("button", { class: "unseen", tabindex: "-1", "aria-hidden": "true" }));
}

/** What the server says of this item, word for word. */
function schemas(given) {
  return el("details", { class: "more" }, el("summary", {}, "As the server describes it"), tree(given, { open: 2 }));
}

function readResult(result) {
  const contents = Array.isArray(result.contents) ? result.contents : [];
  return shown({
    Content: () => (contents.length ? el("div", {}, contents.map((each) => resource(each ?? {}))) : content([])),
    JSON: () => tree(result),
  });
}

const suggestions = (connection, ref, source) => (name) => (typed) => {
  let others = {};
  try {
    others = Object.fromEntries(Object.entries(source().read()).filter(([each]) => each !== name));
  } catch {
    // what is not filled in yet says nothing of the rest
  }
  return connection.complete(ref, { name, value: typed }, others);
};

/** Subscribe, and read again whenever the resource has changed. */
function subscription(connection, uriOf, run) {
  if (!connection.peer?.capabilities?.resources?.subscribe) return null;
  const words = el("span", { class: "hint", role: "status" });
  let uri = null;
  const show = () => {
    const known = uri === null ? undefined : connection.subscribed.get(uri);
    toggle.textContent = known ? "Unsubscribe" : "Subscribe";
    toggle.setAttribute("aria-pressed", String(Boolean(known)));
    fill(words, known ? (known.changes ? `changed ${known.changes} ${known.changes === 1 ? "time" : "times"}, last at ${known.at.toLocaleTimeString()}` : "live: read again when it changes") : "");
  };
  const toggle = button("Subscribe", async () => {
    try {
      if (uri !== null && connection.subscribed.has(uri)) {
        await connection.unsubscribe(uri);
      } else {
        uri = uriOf();
        await connection.subscribe(uri);
      }
      show();
    } catch (error) {
      fill(words, error.message);
    }
  });
  connection.addEventListener("updated", ({ detail }) => {
    if (detail !== uri || !connection.subscribed.has(detail)) return;
    show();
    run.run({ again: true });
  });
  connection.addEventListener("state", show);
  return el("div", { class: "subscription" }, toggle, words);
}

/** Fill a URI template in, as far as RFC 6570 goes without lists and prefixes; variables that are left out vanish. */
export function expand(template, values) {
  const rules = { "+": ["", ",", false, true], "#": ["#", ",", false, true], ".": [".", ".", false], "/": ["/", "/", false], ";": [";", ";", true], "?": ["?", "&", true], "&": ["&", "&", true] };
  return template.replace(/\{([+#./;?&]?)([^}]+)\}/g, (_, operator, list) => {
    const [first, between, named, reserved] = rules[operator] ?? ["", ",", false];
    const encode = (value) => (reserved ? encodeURI(value).replace(/%25(?=[0-9a-f]{2})/gi, "%") : encodeURIComponent(value).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`));
    const parts = list.split(",").map((each) => each.replace(/(\*|:\d+)$/, "")).filter((name) => values[name] !== undefined)
      .map((name) => (named ? (values[name] === "" && operator === ";" ? name : `${name}=${encode(values[name])}`) : encode(values[name])));
    return parts.length ? first + parts.join(between) : "";
  });
}

