// Tables: the heading stays in sight, columns are moved in their dialog, and a search answers while one types.
import { replaceParts } from "./htmx.js";

// --- A heading that stays ------------------------------------------------------------------------
// A table that fits scrolls with the page, below the header; a wider one scrolls in its own frame.
function fit(frame) {
  if (frame.classList.contains("drops-columns")) dropColumns(frame);
  const fits = frame.firstElementChild.scrollWidth <= frame.clientWidth;
  frame.classList.toggle("fits", fits);
  frame.classList.toggle("is-wide", !fits);
}

// Where another page or part of it shows what a row leaves out, columns that don't fit are left out: those of the
// least data-worth first, and of these the last in the user's order. The name and the menu stay. app.css hides the
// numbers in data-out.
function dropColumns(frame) {
  const table = frame.firstElementChild;
  const headings = [...table.querySelectorAll("thead th")];
  delete table.dataset.out;
  const isCards = getComputedStyle(table).display === "block";
  const first = headings.findIndex((heading) => !heading.querySelector("[data-check-all]"));
  const out = [];
  let needed = isCards ? 0 : table.scrollWidth;
  const worth = (index) => Number(headings[index].dataset.worth || 0);
  const order = [...headings.keys()].filter((index) => index > first).sort((one, other) => worth(one) - worth(other) || other - one);
  for (const index of order) {
    if (needed <= frame.clientWidth) break;
    if (headings[index].matches(".menu-cell, [data-keep]") || !headings[index].offsetWidth || isFlexible(table, index)) continue;
    needed -= headings[index].getBoundingClientRect().width;
    out.push(index);
  }
  out.sort((one, other) => one - other);
  if (out.length) table.dataset.out = out.map((index) => index + 1).join(" ");
  const note = frame.parentElement.querySelector("[data-columns-out]");
  if (!note) return;
  note.hidden = out.length === 0;
  note.querySelector("span").textContent = out.map((index) => headings[index].textContent.trim()).join(", ");
  note.title = note.textContent.trim();
}

// The column that takes the width that is left is the one the table is about.
const isFlexible = (table, index) => table.tBodies[0]?.rows[0]?.cells[index]?.matches(".log-message, .name-cell");

const watcher = new ResizeObserver((entries) => entries.forEach(({ target }) => fit(target.closest(".table-frame"))));
let watched = [];

function watch() {
  for (const frame of watched.filter((each) => !each.isConnected)) {
    watcher.unobserve(frame);
    watcher.unobserve(frame.firstElementChild);
  }
  watched = watched.filter((frame) => frame.isConnected);
  for (const frame of document.querySelectorAll(".table-frame")) {
    if (watched.includes(frame) || !frame.firstElementChild) continue;
    watched.push(frame);
    watcher.observe(frame);
    watcher.observe(frame.firstElementChild);
    fit(frame);
  }
}
watch();
document.addEventListener("console:changed", watch);

// --- Moving columns ------------------------------------------------------------------------------
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-move]");
  if (!button) return;
  event.preventDefault();
  const item = button.closest("li");
  const other = button.dataset.move === "up" ? item.previousElementSibling : item.nextElementSibling;
  if (!other) return;
  if (button.dataset.move === "up") other.before(item);
  else other.after(item);
  // Moving an element takes the focus from it.
  button.focus();
  const place = [...item.parentElement.children].indexOf(item) + 1;
  say(item.closest("[data-said]").dataset.said.replace("%name%", item.dataset.name).replace("%place%", place));
});

function say(text) {
  const announcer = document.getElementById("announcer");
  if (announcer) announcer.textContent = text;
}

// --- Searching while one types --------------------------------------------------------------------
// data-quick-search on a form names the parts of the page that its answer renews. The address follows
// without a new entry in the history. A field with data-when-left means nothing while it is half typed.
const WAIT_MS = 300;
const running = new WeakMap();

function addressOf(form) {
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
  // What isn't in the form but belongs to the view stays; the page starts anew.
  for (const name of ["sort", "per_page", "view", "rows"]) {
    const value = new URLSearchParams(location.search).get(name);
    if (value && !query.has(name)) query.set(name, value);
  }
  return `${form.getAttribute("action") || location.pathname}?${query}`;
}

async function search(form) {
  running.get(form)?.abort();
  const question = new AbortController();
  running.set(form, question);
  const url = addressOf(form);
  if (!(await replaceParts(url, form.dataset.quickSearch.split(" "), question.signal))) return;
  history.replaceState(history.state, "", url);
  const found = document.getElementById(form.dataset.quickSearch.split(" ")[0]);
  say(found?.querySelector("[data-count], .empty-state h2")?.textContent.trim() ?? "");
}

const timers = new WeakMap();
for (const [name, wait] of [["input", WAIT_MS], ["change", 0]]) {
  document.addEventListener(name, (event) => {
    const form = event.target.closest("[data-quick-search]");
    if (!form) return;
    // A text field says "change" when it is left; its search has run by then.
    const isText = event.target.matches("input:not([type=checkbox])");
    const waits = isText && event.target.matches("[data-when-left]");
    if (name === "change" ? isText && !waits : waits) return;
    clearTimeout(timers.get(form));
    timers.set(form, setTimeout(() => search(form), wait));
  });
}
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-quick-search]")) return;
  event.preventDefault();
  clearTimeout(timers.get(event.target));
  search(event.target);
});
