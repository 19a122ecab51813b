// A call and what becomes of it: the button, progress, what is logged meanwhile, the result, and the calls before.

import { button, el, fill, put, span } from "./dom.js";
import { tree } from "./json.js";
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

  async function run() {
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
    const clock = setInterval(() => fill(status, `${span(performance.now() - started)} …`), 100);
    stop.act = () => running.abort(new Error("Given up by hand."));
    busy(true);
    fill(out, watch.element);
    let end;
    try {
      let result = await send(input, { signal: running.signal, notice: watch.notice });
      if (result instanceof Task) result = await follow(result, watch, running.signal);
      end = { word: result.isError ? "the tool failed" : "done", failed: result.isError === true, element: render(result) };
    } catch (error) {
      end = { word: running.signal.aborted ? "cancelled" : "refused", failed: true, element: failure(error) };
    }
    clearInterval(clock);
    running = null;
    busy(false);
    end.ms = performance.now() - started;
    watch.done();
    put(fill(out, watch.isEmpty() ? null : watch.element), end.element);
    say(end);
    remember(input, end);
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
      el("span", { class: each.end.failed ? "bad" : "good" }, each.end.word), el("code", {}, (JSON.stringify(each.input) ?? "").slice(0, 120)))));
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
  let heard = 0;
  return {
    element: el("div", { class: "meanwhile" }, line, logs),
    isEmpty: () => heard === 0,
    done: () => { line.hidden = true; },
    task(wire) {
      bar.hidden = false;
      if (bar.position < 0) bar.removeAttribute("value");
      fill(words, el("strong", {}, "task "), el("code", {}, String(wire.taskId).slice(0, 12)), ` ${wire.status}`, wire.statusMessage ? `: ${wire.statusMessage}` : "");
    },
    notice(method, params) {
      if (method === "notifications/progress") {
        bar.hidden = false;
        const { progress, total, message } = params;
        if (typeof total === "number" && total > 0) {
          bar.max = total;
          bar.value = Math.min(progress, total);
        }
        fill(words, `${progress}${total === undefined ? "" : ` of ${total}`}`, message ? ` · ${message}` : "");
      } else if (method === "notifications/message") {
        heard += 1;
        put(logs, el("li", { class: `log ${["error", "critical", "alert", "emergency"].includes(params.level) ? "bad" : ""}` },
          el("span", { class: "level" }, String(params.level)), params.logger ? el("code", {}, String(params.logger)) : null,
          typeof params.data === "string" ? el("span", {}, params.data.slice(0, 2000)) : tree(params.data, { open: 1, copy: false })));
        if (logs.children.length > MOST_LOGS) logs.firstChild.remove();
      }
    },
  };
}

/** Why there is no result. */
function failure(error) {
  const code = error.code ?? error.status;
  return el("div", { class: "result failed" }, el("p", {}, el("strong", {}, code === undefined ? "" : `${code} `), error.message),
    error.data === undefined ? null : tree(error.data, { open: 2 }));
}
