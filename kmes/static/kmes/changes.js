// One question per browser: what changed? The server holds it until something did; the parts of the page that follow the
// topic are then asked for. Where no question can be held it is asked now and then, and without an answer all parts are.

import { refresh } from "./htmx.js";

const NAME = "kmes-changes";
const place = document.body.dataset.changes;
// After what a user did, news come at once; what others do is shown within a second, a long job of theirs within two. A part
// that has not answered yet is not asked again (htmx.js), so a short gap does not pile requests up.
const LIVELY_MS = 5000;
const GAPS_MS = { lively: 50, calm: 1000, busy: 2000 };
const BUSY_MS = 30_000;
// Without an answer all parts are asked for, and show whether the server is away; a busy one is spared.
const LOST = { seen: "", changed: null, again: 2 };
const REFUSED = { seen: "", changed: null, again: 10 };
// The server holds a question for 25 s.
const HELD_MS = 35_000;
const ANSWER_MS = 15_000;
// A hint may be lost: what was not asked for in so long is asked for.
const STALE_MS = 60_000;

const channel = "BroadcastChannel" in window ? new BroadcastChannel(NAME) : null;
let seen = document.body.dataset.changesSeen;
let acted = performance.now();
let calm = performance.now();
let refreshed = performance.now();
let turn = null;
let asking = null;

const isLively = () => performance.now() - acted < LIVELY_MS;

for (const name of ["pointerdown", "keydown", "submit"]) {
  document.addEventListener(name, () => { acted = performance.now(); }, { capture: true, passive: true });
}

function pause(ms, signal) {
  return new Promise((done) => {
    const stop = () => { clearTimeout(timer); signal.removeEventListener("abort", stop); done(); };
    const timer = setTimeout(stop, ms);
    signal.addEventListener("abort", stop);
  });
}

// Returns {seen, changed, again}, where "changed" is null for all topics; {isOver} when the session has ended.
async function ask(signal, hold) {
  const question = asking = new AbortController();
  const stop = () => question.abort();
  signal.addEventListener("abort", stop);
  // A network that swallows everything breaks no connection.
  const limit = setTimeout(stop, hold ? HELD_MS : ANSWER_MS);
  try {
    const answer = await fetch(`${place}?seen=${encodeURIComponent(seen)}${hold ? "&hold=1" : ""}`, {
      credentials: "same-origin", headers: { "X-Kmes-Poll": "1" }, redirect: "manual", signal: question.signal,
    });
    if (answer.status === 401) return { isOver: true };
    // Another page has to be seen first; the one that is open is no place for news.
    if (answer.type === "opaqueredirect" || answer.status === 403) return { isOver: true, isQuiet: true };
    if (answer.ok) return await answer.json();
    return answer.status === 503 ? REFUSED : LOST;
  } catch {
    return LOST;
  } finally {
    clearTimeout(limit);
    signal.removeEventListener("abort", stop);
  }
}

function take(answer) {
  if (answer.isOver) {
    if (!answer.isQuiet) document.getElementById("session-ended").hidden = false;
    return;
  }
  seen = answer.seen;
  if (answer.changed?.length === 0) return;
  refreshed = performance.now();
  refresh(answer.changed);
}

function gap(answer) {
  if (answer.again) return 1000 * (isLively() ? Math.min(answer.again, 1) : answer.again);
  if (!answer.changed.length) {
    calm = performance.now();
    return 0;
  }
  if (isLively()) return GAPS_MS.lively;
  return performance.now() - calm > BUSY_MS ? GAPS_MS.busy : GAPS_MS.calm;
}

// Asks for all visible tabs of this browser, until this one is hidden.
async function lead(signal) {
  while (!signal.aborted) {
    const answer = await ask(signal, true);
    if (signal.aborted) return;
    take(answer);
    channel?.postMessage(answer);
    if (answer.isOver) return;
    const ms = gap(answer);
    if (ms) await pause(ms, signal);
  }
}

async function follow(signal) {
  // Without a secure context there are no locks: each tab asks for itself.
  if (!navigator.locks) return lead(signal);
  const hasLed = await navigator.locks.request(NAME, { ifAvailable: true }, async (lock) => {
    if (lock) await lead(signal);
    return Boolean(lock);
  });
  if (hasLed || signal.aborted) return undefined;
  // Another tab asks; what happened before it told us is asked for once.
  const answer = await ask(signal, false);
  if (!signal.aborted) take(answer);
  return navigator.locks.request(NAME, { signal }, () => lead(signal)).catch(() => undefined);
}

function begin() {
  if (turn || document.hidden) return;
  turn = new AbortController();
  follow(turn.signal);
}

function end() {
  turn?.abort();
  turn = null;
}

if (place) {
  if (channel) channel.onmessage = ({ data }) => { if (turn) take(data); };
  document.addEventListener("visibilitychange", () => { if (document.hidden) end(); else begin(); });
  // The browser may show a page again from its memory.
  addEventListener("offline", () => asking?.abort());
  addEventListener("pagehide", end);
  addEventListener("pageshow", begin);
  setInterval(() => {
    if (!turn || performance.now() - refreshed < STALE_MS) return;
    refreshed = performance.now();
    refresh(null);
  }, STALE_MS / 4);
  // Until then htmx does not listen to the page's parts.
  document.addEventListener("DOMContentLoaded", begin);
}
