// The command palette: Ctrl+K or the header's search (ARIA combobox with a listbox). The server finds
// and renders; this file asks while one types, moves the choice, and opens what is chosen.
import { openMenu } from "./menu.js";

const palette = document.getElementById("palette");
const input = document.getElementById("palette-input");
const results = document.getElementById("palette-results");
const status = document.getElementById("palette-status");
const WAIT_MS = 120;
let timer = 0;
let asking = null;
// Enter pressed before the answer is there belongs to the answer.
let isEnterWaiting = false;

const options = () => [...results.querySelectorAll("[role=option]")];
const chosen = () => results.querySelector("[role=option][aria-selected=true]");

export function openPalette(text = "") {
  if (!palette || palette.open || document.querySelector("dialog[open]")) return;
  input.value = text;
  palette.showModal();
  input.focus();
  input.setSelectionRange(text.length, text.length);
  ask();
}

async function ask() {
  asking?.abort();
  const question = asking = new AbortController();
  results.setAttribute("aria-busy", "true");
  const url = `${palette.dataset.url}?${new URLSearchParams({ q: input.value })}`;
  try {
    const answer = await fetch(url, {
      headers: { "HX-Request": "true", "HX-Target": "palette-results" },
      credentials: "same-origin",
      signal: question.signal,
    });
    if (!answer.ok || answer.redirected || answer.headers.has("HX-Redirect")) {
      location.href = url;
      return;
    }
    const html = await answer.text();
    if (!question.signal.aborted) show(html);
  } catch {
    if (!question.signal.aborted) {
      status.textContent = palette.dataset.lost;
      isEnterWaiting = false;
    }
  } finally {
    if (asking === question) asking = null;
  }
}

// What the field points at must be there for a screen reader, also between two answers.
function show(html) {
  results.innerHTML = html;
  results.removeAttribute("aria-busy");
  const list = results.querySelector("[role=listbox]");
  input.setAttribute("aria-expanded", String(Boolean(list)));
  if (list) input.setAttribute("aria-controls", list.id);
  else input.removeAttribute("aria-controls");
  status.textContent = results.firstElementChild?.dataset.said || "";
  choose(options()[0]);
  if (isEnterWaiting) run(chosen(), {});
  isEnterWaiting = false;
}

function choose(option) {
  chosen()?.setAttribute("aria-selected", "false");
  if (!option) {
    input.removeAttribute("aria-activedescendant");
    return;
  }
  option.setAttribute("aria-selected", "true");
  input.setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const all = options();
  if (all.length) choose(all[(all.indexOf(chosen()) + by + all.length) % all.length]);
}

function run(option, event) {
  option?.dispatchEvent(new MouseEvent("click", {
    bubbles: true, cancelable: true, ctrlKey: event.ctrlKey, metaKey: event.metaKey,
  }));
}

function openActions(option) {
  const box = option.getBoundingClientRect();
  openMenu(option.dataset.actions, { x: box.left + 32, y: box.bottom }, input);
}

function onKey(event) {
  if (event.isComposing) return;
  const isAtEnd = input.selectionStart === input.value.length && input.selectionEnd === input.value.length;
  switch (event.key) {
    case "ArrowDown": step(1); break;
    case "ArrowUp": step(-1); break;
    case "PageDown": choose(options().at(Math.min(options().length - 1, options().indexOf(chosen()) + 6))); break;
    case "PageUp": choose(options()[Math.max(0, options().indexOf(chosen()) - 6)]); break;
    case "Enter":
      if (timer || asking) isEnterWaiting = true;
      else run(chosen(), event);
      break;
    case "ArrowRight":
      if (!isAtEnd || !chosen()?.dataset.actions) return;
      openActions(chosen());
      break;
    default: return;
  }
  event.preventDefault();
}

if (palette) {
  input.addEventListener("keydown", onKey);
  input.addEventListener("input", () => {
    clearTimeout(timer);
    // What was asked for before is no answer to what stands here now, least of all to an Enter.
    asking?.abort();
    asking = null;
    isEnterWaiting = false;
    timer = setTimeout(() => { timer = 0; ask(); }, WAIT_MS);
  });
  results.addEventListener("pointermove", (event) => {
    const option = event.target.closest("[role=option]");
    if (option && option !== chosen()) choose(option);
  });
  results.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    if (event.target.closest("[data-more]")) {
      event.preventDefault();
      event.stopPropagation();
      openActions(option);
    } else if (option.getAttribute("aria-disabled") === "true") {
      event.preventDefault();
    } else if (!option.hasAttribute("data-dialog") && !event.ctrlKey && !event.metaKey) {
      // Links and copy buttons do their own work; the palette goes when that has begun.
      setTimeout(() => palette.close(), 0);
    }
  });
  palette.addEventListener("click", (event) => {
    if (event.target === palette || event.target.closest("[data-palette-close]")) palette.close();
  });
  palette.addEventListener("close", () => {
    clearTimeout(timer);
    timer = 0;
    asking?.abort();
    isEnterWaiting = false;
    show("");
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (palette.open) palette.close();
    else openPalette();
  });
  // The header's box is a form of its own where there is no script. Coming to it by Tab opens nothing.
  const box = document.querySelector("[data-palette-open]");
  const give = () => {
    openPalette(box.value);
    box.value = "";
  };
  box?.addEventListener("click", give);
  box?.addEventListener("input", give);
}
