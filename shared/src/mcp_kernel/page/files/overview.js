// A server at a glance, and on what terms the page talks to it.

import { button, el, fill, put } from "./dom.js";
import { tree } from "./json.js";
import { markdown } from "./markdown.js";
import { LEGACY, LOG_LEVELS, MODERN } from "./revisions.js";

const OFFERS = {
  form: "forms (elicitation)", url: "pages to visit (elicitation)", sampling: "a model's answers, written by hand (sampling)",
  tools: "… with tools", roots: "roots", tasks: "tasks",
};

export function overview(connection) {
  const about = el("div", { class: "about" });
  const show = () => fill(about, state(connection), facts(connection));
  connection.addEventListener("state", show);
  connection.addEventListener("list", show);
  show();
  return {
    element: el("article", { class: "pane" }, el("header", {}, el("h2", { tabindex: "-1" }, connection.title), el("code", { class: "dim" }, connection.wire.path)), about, terms(connection)),
    focus: () => about.closest("article").querySelector("h2").focus(),
  };
}

function state(connection) {
  if (connection.state === "opening") return el("p", { class: "hint" }, "Connecting …");
  if (connection.state !== "failed") return null;
  const { error } = connection;
  const hint = error.status === 401 ? "The server wants a token: enter it below, and connect again." : error.status === 403 ? "The token is not enough, or this address is not allowed." : null;
  return el("div", { class: "result failed", role: "alert" }, el("p", {}, el("strong", {}, "No connection. "), error.message), hint ? el("p", {}, hint) : null);
}

function facts(connection) {
  const { peer } = connection;
  if (!peer) return null;
  const { info, capabilities, server } = peer;
  const counted = Object.entries(connection.lists).filter(([, items]) => items.length).map(([list, items]) => `${items.length} ${list}`);
  const row = (name, value) => (value ? el("div", { class: "short" }, el("dt", {}, name), el("dd", {}, value)) : null);
  return [
    el("dl", { class: "facts" }, row("server", `${info.name ?? "?"} ${info.version ?? ""}`), row("revision", `${peer.revision} (${peer.legacy ? "a session" : "stateless"})`),
      row("offers", counted.join(", ")), row("changes", connection.listening ? "heard live" : "not heard")),
    server.instructions ? el("section", {}, el("h3", {}, "Instructions"), markdown(String(server.instructions))) : null,
    el("details", { class: "more" }, el("summary", {}, "Capabilities"), tree(capabilities, { open: 3 })),
    el("details", { class: "more" }, el("summary", {}, "The server's first answer"), tree(server, { open: 2 })),
  ];
}

/** The terms: revision, token, log level, what is offered to the server, roots. */
function terms(connection) {
  const { settings, wire } = connection;
  const revision = select(["auto", ...MODERN, ...LEGACY], settings.revision);
  const level = select(LOG_LEVELS, settings.logLevel);
  const token = el("input", { type: "password", autocomplete: "off", spellcheck: "false", "aria-describedby": "token-hint", id: "token" });
  token.value = wire.token;
  const offers = Object.entries(OFFERS).map(([name, words]) => {
    const box = el("input", { type: "checkbox", data: { offer: name } });
    box.checked = settings.offer[name];
    return [name, box, el("label", {}, box, words)];
  });
  const roots = el("textarea", { rows: 2, id: "roots", class: "mono", placeholder: "file:///home/me/project  My project", spellcheck: "false" });
  roots.value = settings.roots.map((root) => `${root.uri} ${root.name ?? ""}`.trim()).join("\n");
  const apply = () => {
    settings.revision = revision.value;
    settings.logLevel = level.value;
    wire.token = token.value.trim().replace(/^Bearer\s+/i, "");
    for (const [name, box] of offers) settings.offer[name] = box.checked;
    settings.roots = roots.value.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
      const [uri, ...name] = line.split(/\s+/);
      return name.length ? { uri, name: name.join(" ") } : { uri };
    });
    connection.open();
  };
  return el("form", { class: "terms", "aria-label": "Terms", on: { submit: (event) => { event.preventDefault(); apply(); } } }, el("h3", {}, "Terms"),
    field("Revision", revision, "auto: the newest that both speak"), field("Log level", level),
    field("Token", token, put(el("span", { id: "token-hint" }), "sent as a bearer token, kept in this tab's memory alone")),
    el("fieldset", {}, el("legend", {}, "Offered to the server"), offers.map(([, , label]) => label)),
    field("Roots", roots, "one a line: the URI, then a name"),
    el("div", { class: "actions" }, el("button", { class: "primary" }, "Connect"), button("Disconnect", () => connection.leave(), {})));
}

const select = (values, chosen) => {
  const made = el("select", {}, values.map((value) => el("option", { value }, value)));
  made.value = chosen;
  return made;
};

function field(name, control, hint) {
  return el("label", { class: "field" }, el("span", { class: "name" }, name), control, hint ? el("span", { class: "hint" }, hint) : null);
}
