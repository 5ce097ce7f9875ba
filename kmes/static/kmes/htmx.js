// All that knows htmx: its event names stand in this file only.
// htmx listens to a part that came with an answer only once it has settled. In base.html its delay for that is nothing: else
// what happened to the part meanwhile would be lost.

const banner = () => document.getElementById("connection");

// What a part of a page asks by itself: when what it follows has changed (changes.js), or from time to time.
function isPoll(event) {
  const part = event.detail.requestConfig?.elt ?? event.detail.elt;
  return part.hasAttribute("data-follows") || /\bevery\b/.test(part.getAttribute("hx-trigger") || "");
}

// Polls rest while nobody looks; the first one after the return brings all news at once.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (isPoll(event) && document.hidden) event.preventDefault();
});

// A group outside the part of the tree that is shown has no node to be renewed.
document.addEventListener("htmx:configRequest", (event) => {
  // When the session has ended, a poll must not lead away from what is being typed.
  if (isPoll(event)) event.detail.headers["X-Kmes-Poll"] = "1";
  const inspected = document.getElementById("inspector-body")?.dataset.key;
  if (isPoll(event) && inspected) event.detail.headers["X-Kmes-Inspected"] = inspected;
  const node = event.detail.elt.dataset.renews;
  if (node && !document.getElementById(node)) event.detail.headers["X-Kmes-No-Node"] = "1";
});

for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, () => { if (banner()) banner().hidden = false; });
}

document.addEventListener("htmx:afterRequest", (event) => {
  const status = event.detail.xhr ? event.detail.xhr.status : 0;
  const ended = document.getElementById("session-ended");
  if (ended && status === 401) ended.hidden = false;
  if (!banner() || !status) return;
  // 503 is also our own answer when the device is away; as the answer to a poll it means the server is.
  banner().hidden = !(status === 502 || status === 504 || (status === 503 && isPoll(event)));
});

// A failed poll must not put an error page into the place of a table: the old content stays. In a page that is being left, the
// places are gone already.
let isLeft = false;
addEventListener("pagehide", () => { isLeft = true; });
addEventListener("pageshow", () => { isLeft = false; });
document.addEventListener("htmx:beforeSwap", (event) => {
  if (isPoll(event) && (isLeft || event.detail.xhr.status >= 400)) event.detail.shouldSwap = false;
});

// What was focused keeps the focus when its table is replaced.
let focused = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  const active = document.activeElement;
  const row = active && active.closest("[id]");
  focused = row && event.detail.target && event.detail.target.contains(active) ? row.id : null;
});
// A table that renews itself stays where it was scrolled to; another one begins at its top.
let scrolled = [];
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!isPoll(event)) return;
  const frames = event.detail.target?.querySelectorAll(".table-frame[id]") ?? [];
  scrolled = [...frames].filter((frame) => frame.scrollTop || frame.scrollLeft)
    .map((frame) => [frame.id, frame.scrollLeft, frame.scrollTop]);
});
// At once, so that no button is seen or used before it is dressed.
document.addEventListener("htmx:afterSwap", () => {
  document.dispatchEvent(new CustomEvent("console:changed"));
  for (const [id, left, top] of scrolled) document.getElementById(id)?.scrollTo({ left, top, behavior: "instant" });
  scrolled = [];
});
document.addEventListener("htmx:afterSettle", () => {
  if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
  focused = null;
  document.dispatchEvent(new CustomEvent("console:changed"));
});

// --- Parts that follow topics ---
// The parts that wait for an answer or rest, and those of them that changed again meanwhile; by id, because an answer
// replaces its part. A part that was replaced by something else waits no longer.
const waiting = new Map();
const outdated = new Set();
const askedAt = new Map();

// Asks for the parts of the page that follow one of the topics; null: for all.
export function refresh(topics) {
  for (const part of document.querySelectorAll("[data-follows]")) {
    if (!topics || part.dataset.follows.split(" ").some((topic) => topics.includes(topic))) renew(part);
  }
}

function renew(part) {
  if (waiting.get(part.id) === part) {
    outdated.add(part.id);
    return;
  }
  // A costly part rests between two answers, and still shows the last change.
  const rest = 1000 * Number(part.dataset.rest || 0) - (performance.now() - (askedAt.get(part.id) ?? -Infinity));
  if (rest > 0) {
    waiting.set(part.id, part);
    setTimeout(() => { waiting.delete(part.id); renewById(part.id); }, rest);
    return;
  }
  askedAt.set(part.id, performance.now());
  part.dispatchEvent(new CustomEvent("refresh"));
}

function renewById(id) {
  outdated.delete(id);
  const part = document.getElementById(id);
  if (part?.dataset.follows) renew(part);
}

document.addEventListener("htmx:beforeSend", (event) => {
  const part = event.detail.requestConfig.elt;
  if (part.dataset.follows) waiting.set(part.id, part);
});
document.addEventListener("htmx:afterRequest", (event) => {
  const part = event.detail.requestConfig?.elt;
  if (!part || waiting.get(part.id) !== part) return;
  waiting.delete(part.id);
  // Once the answer has taken its place.
  if (outdated.has(part.id)) setTimeout(() => renewById(part.id), 0);
});

// Puts the answer of a GET into an element; returns a promise.
export function load(url, target) {
  return window.htmx.ajax("GET", url, { target, swap: "innerHTML" });
}

// The same with what a form holds, for a question that is too long for an address.
export function loadByPost(url, target, values) {
  return window.htmx.ajax("POST", url, { target, swap: "innerHTML", values });
}

// Lets htmx see links that came without it.
export function enliven(element) {
  window.htmx.process(element);
}

// Fetches a page and puts its parts of these ids into the place of ours. Says whether that was done: not
// when the question was taken back or the server is away. After 200 ms the parts show that they wait.
export async function replaceParts(url, ids, signal) {
  const parts = () => ids.map((id) => document.getElementById(id)).filter(Boolean);
  const waiting = setTimeout(() => parts().forEach((part) => part.setAttribute("aria-busy", "true")), 200);
  try {
    const answer = await fetch(url, { credentials: "same-origin", signal });
    const text = await answer.text();
    const page = new DOMParser().parseFromString(text, "text/html");
    if (answer.redirected || !ids.some((id) => page.getElementById(id))) {
      location.href = url;
      return false;
    }
    for (const part of parts()) {
      const fresh = page.getElementById(part.id);
      if (!fresh) continue;
      part.replaceWith(fresh);
      window.htmx.process(fresh);
    }
    document.dispatchEvent(new CustomEvent("console:changed"));
    return true;
  } catch (error) {
    if (error.name !== "AbortError" && banner()) banner().hidden = false;
    return false;
  } finally {
    clearTimeout(waiting);
    for (const part of parts()) part.removeAttribute("aria-busy");
  }
}
