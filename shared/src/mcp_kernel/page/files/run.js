// A call and what becomes of it: the button, progress, what is logged meanwhile, the result, and the calls before.

import { button, el, fill, put, span } from "./dom.js";
import { tree, write } from "./json.js";
import { RpcError } from "./revisions.js";
import { Task } from "./tasks.js";

const MOST_LOGS = 200;
const MOST_BEFORE = 10;

/**
 * The part of a pane that runs calls: `{ element, run }`.
 *
 * `verb` stands on the button, `prepare()` gives what to send (and throws where it cannot), `send(input, options)` makes
 * the call and `render(result)` shows its result. `restore(input)` fills the form with an earlier call's input.
 */
export function runner({ verb, prepare, send, render, restore, label }) {
  const status = el("span", { class: "status", role: "status" });
  const out = el("div", { class: "out" });
  const before = el("ol", { class: "before" });
  const go = button(verb, () => run(), { class: "primary", title: "Ctrl+Enter" });
  const stop = button("Cancel", () => stop.act?.(), { hidden: true, title: "Ctrl+." });
  const past = [];
  let running = null;
  let due = false;

  /** Make a call; one that is in flight is not made twice, but `again` asks for another when it has ended. */
  async function run({ again = false } = {}) {
    due = again && running !== null;
    if (running) return;
    let input;
    try {
      input = prepare();
    } catch (error) {
      error.focus?.();
      return;
    }
    running = new AbortController();
    const watch = meanwhile();
    const started = performance.now();
    const tick = () => fill(status, `${span(performance.now() - started)} …`);
    const clock = setInterval(tick, 100);
    tick(); // so that the word of the call before does not stand beside this one
    stop.act = () => running.abort(new Error("Given up by hand."));
    busy(true);
    fill(out, watch.element);
    let end;
    try {
      let result = await send(input, { signal: running.signal, notice: watch.notice });
      if (result instanceof Task) result = await follow(result, watch, running.signal);
      end = { word: result.isError ? "the tool failed" : "done", failed: result.isError === true, element: render(result) };
    } catch (error) {
      const given = running.signal.aborted ? running.signal.reason : error;
      end = { word: running.signal.aborted || error.cancelled ? "cancelled" : "refused", failed: true, element: failure(given) };
    }
    clearInterval(clock);
    running = null;
    busy(false);
    end.ms = performance.now() - started;
    watch.done();
    put(fill(out, watch.isEmpty() ? null : watch.element), end.element);
    say(end);
    remember(input, end);
    if (due) run();
  }

  async function follow(task, watch, signal) {
    stop.act = () => task.cancel().catch((error) => fill(status, error.message));
    return task.result(watch.task, signal);
  }

  function busy(on) {
    go.disabled = on;
    stop.hidden = !on;
    out.setAttribute("aria-busy", String(on));
    if (on) stop.focus({ preventScroll: true });
    else if (document.activeElement === stop || document.activeElement === document.body) go.focus({ preventScroll: true });
  }

  const say = (end) => fill(status, el("span", { class: end.failed ? "bad" : "good" }, end.word), ` in ${span(end.ms)}`);

  function remember(input, end) {
    past.unshift({ input, end, at: new Date() });
    past.splice(MOST_BEFORE);
    fill(before, past.slice(1).map((each) => el("li", {},
      button(each.at.toLocaleTimeString(), () => { restore?.(each.input); fill(out, each.end.element); say(each.end); }, { class: "quiet", title: "Show this call again" }),
      el("span", { class: each.end.failed ? "bad" : "good" }, each.end.word), el("code", {}, write(each.input).slice(0, 120)))));
    earlier.hidden = past.length < 2;
  }

  const earlier = el("details", { class: "more", hidden: true }, el("summary", {}, "Earlier calls"), before);
  return {
    run, cancel: () => stop.act?.(),
    element: el("section", { class: "run", "aria-label": label }, el("div", { class: "actions" }, go, stop, status), out, earlier),
  };
}

/** What is heard while a call is in flight: progress, logs, how its task stands. */
function meanwhile() {
  const bar = el("progress", { hidden: true, "aria-label": "Progress" });
  const words = el("span", { class: "hint" });
  const logs = el("ol", { class: "logs", "aria-label": "Log" });
  const line = el("div", { class: "progress" }, bar, words);
  const said = []; // logs that are not shown yet
  let progress = null; // the last that was heard
  let heard = 0;
  let drawn = false; // whether the next picture is asked for
  const draw = () => {
    if (progress) showProgress(progress);
    put(logs, said.splice(0).map(logged));
    while (logs.children.length > MOST_LOGS) logs.firstChild.remove();
  };
  const showProgress = ({ progress: done, total, message }) => {
    bar.hidden = false;
    if (Number.isFinite(done) && Number.isFinite(total) && total > 0) {
      bar.max = total;
      bar.value = Math.min(Math.max(done, 0), total);
    }
    fill(words, `${done}${total === undefined ? "" : ` of ${total}`}`, message ? ` · ${String(message).slice(0, 500)}` : "");
  };
  return {
    element: el("div", { class: "meanwhile" }, line, logs),
    isEmpty: () => heard === 0,
    done: () => { draw(); line.hidden = true; },
    task(wire) {
      bar.hidden = false;
      if (bar.position < 0) bar.removeAttribute("value");
      fill(words, el("strong", {}, "task "), el("code", {}, String(wire.taskId).slice(0, 12)), ` ${wire.status}`, wire.statusMessage ? `: ${wire.statusMessage}` : "");
    },
    /** However much comes, it is drawn once for each picture on the screen. */
    notice(method, params) {
      if (method === "notifications/progress") progress = params;
      else if (method === "notifications/message") heard = said.push(params);
      else return;
      said.splice(0, said.length - MOST_LOGS);
      if (drawn) return;
      drawn = true;
      requestAnimationFrame(() => { drawn = false; draw(); });
    },
  };
}

function logged({ level, logger, data }) {
  const bad = ["error", "critical", "alert", "emergency"].includes(level);
  return el("li", { class: bad ? "log bad" : "log" }, el("span", { class: "level" }, String(level)), logger ? el("code", {}, String(logger)) : null,
    typeof data === "string" ? el("span", {}, data.slice(0, 2000)) : tree(data, { open: 1, copy: false }));
}

/** Why there is no result. */
function failure(error) {
  const code = error instanceof RpcError ? error.code : undefined; // a status stands in the message
  return el("div", { class: "result failed" }, el("p", {}, el("strong", {}, code === undefined ? "" : `${code} `), error.message),
    error.data === undefined ? null : tree(error.data, { open: 2 }));
}
