// The inspector shows a key beside the table: a click or Space on a row opens it, Escape closes it. Whether
// it is open is remembered, and the address names the key. Without script it shows the group, below the keys.
import { load } from "./htmx.js";
import { tellWidths } from "./panes.js";

const FOLLOW_MS = 150;
const root = document.documentElement;
const inspector = document.getElementById("inspector");
const body = () => document.getElementById("inspector-body");
const isOpen = () => root.dataset.inspector === "open";
let opener = null;
let following = 0;

function show(open) {
  if (open) root.dataset.inspector = "open";
  else delete root.dataset.inspector;
  try {
    if (open) localStorage.setItem("kmes-inspector", "open");
    else localStorage.removeItem("kmes-inspector");
  } catch { /* a browser that keeps nothing opens it on demand */ }
  mark();
  tellWidths();
}

function nameInAddress(key) {
  const address = new URL(location.href);
  if (key) address.searchParams.set("inspect", key);
  else address.searchParams.delete("inspect");
  history.replaceState(history.state, "", address);
}

// The row and the button of what is shown say so.
function mark() {
  const key = isOpen() ? body().dataset.key : "";
  for (const row of document.querySelectorAll("tr[data-inspect]")) {
    if (key && row.id === `key-${key}`) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
  for (const button of document.querySelectorAll("[data-inspect-group]")) {
    button.setAttribute("role", "button");
    button.setAttribute("aria-controls", "inspector");
    button.setAttribute("aria-expanded", String(isOpen() && !key));
  }
}

async function inspect(url, key, from) {
  opener = from;
  show(true);
  if ((body().dataset.key || "") !== key || !body().dataset.loaded) {
    if (key) body().dataset.key = key;
    else delete body().dataset.key;
    nameInAddress(key);
    mark();
    await load(url, body()).catch(() => { /* the banner says that the server is away */ });
    body().dataset.loaded = "1";
    inspector.scrollTop = 0;
  }
  // Where it covers the page, the reader goes with it.
  if (getComputedStyle(inspector).position === "fixed" && innerWidth < 768) inspector.focus();
}

const inspectRow = (row) => inspect(row.dataset.inspect, row.id.replace("key-", ""), row);

function close() {
  clearTimeout(following);
  const key = body().dataset.key;
  show(false);
  nameInAddress("");
  const row = key && document.getElementById(`key-${key}`);
  if (inspector.contains(document.activeElement) || document.activeElement === document.body) {
    (row || (opener?.isConnected ? opener : null))?.focus();
  }
}

if (inspector) {
  if (body().dataset.key) show(true);
  mark();
  document.addEventListener("click", (event) => {
    if (event.button !== 0 || event.defaultPrevented) return;
    const group = event.target.closest("[data-inspect-group]");
    if (group) {
      event.preventDefault();
      if (isOpen() && !body().dataset.key) close();
      else inspect(group.dataset.inspectGroup, "", group);
    } else if (event.target.closest("[data-inspector-close]")) close();
    else if (event.target.closest(".tree-link")) {
      // Another group was chosen: its own details come with it.
      delete body().dataset.key;
    } else {
      const row = event.target.closest("tr[data-inspect]");
      const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey;
      if (row && isPlain && !event.target.closest("a, button, input, label") && getSelection().isCollapsed) inspectRow(row);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      const elsewhere = event.target.closest("#drawer, [role=menu], dialog, input, select, textarea");
      if (!event.defaultPrevented && isOpen() && !elsewhere && !document.querySelector("dialog[open]")) close();
      return;
    }
    const row = event.target.matches("tr[data-inspect]") && event.target;
    if (row && event.key === " " && !event.ctrlKey && !event.metaKey) inspectRow(row);
  });
  // The details follow the row in focus while they show a key.
  document.addEventListener("focusin", (event) => {
    clearTimeout(following);
    if (!isOpen() || !body().dataset.key || !event.target.matches("tr[data-inspect]")) return;
    following = setTimeout(() => inspectRow(event.target), FOLLOW_MS);
  });
  document.addEventListener("console:changed", mark);
}
