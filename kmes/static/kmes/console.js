// The console's entry: each module owns one manner and finds its elements by data attributes, so that
// pages and fragments that arrive later need no code of their own.
import "./htmx.js";
import "./changes.js";
import "./dialog.js";
import "./menu.js";
import "./forms.js";
import "./rows.js";
import "./selection.js";
import "./calendar.js";
import "./lifeline.js";
import "./panes.js";
import "./inspector.js";
import "./tabs.js";
import "./tree.js";
import "./copy.js";
import "./passkeys.js";
import "./countdown.js";
import "./drawer.js";
import "./job.js";
import "./print.js";
import "./session.js";
import "./palette.js";
import "./shortcuts.js";
import "./tables.js";
import "./suggest.js";
import "./unsent.js";

// On narrow screens the tree is a panel over the page: its button, Escape and a click beside it close it.
const tree = document.getElementById("tree");
const treeToggle = document.querySelector("[data-tree-toggle]");

function showTree(open) {
  tree.classList.toggle("is-open", open);
  treeToggle.setAttribute("aria-expanded", String(open));
  if (open) tree.querySelector("a")?.focus();
}

document.addEventListener("click", (event) => {
  if (!tree) return;
  const isOpen = tree.classList.contains("is-open");
  if (event.target.closest("[data-tree-toggle]")) {
    event.preventDefault();
    showTree(!isOpen);
  } else if (isOpen && !tree.contains(event.target)) {
    event.preventDefault();
    showTree(false);
  }
});

tree?.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !tree.classList.contains("is-open")) return;
  showTree(false);
  treeToggle.focus();
});

// A folded section of the tree stays folded on the next page, on any of the user's machines.
tree?.addEventListener("click", (event) => {
  const section = event.target.closest("summary")?.parentElement;
  if (!section) return;
  const body = new FormData(tree.querySelector("form"));
  body.set("section", section.dataset.section);
  // The click comes before what it does.
  body.set("open", section.open ? "0" : "1");
  fetch(tree.querySelector("form").action, { method: "POST", body })
    .catch(() => { /* folded on this page only; the banner says that the server is away */ });
});

// The user's menu in the header and other panels below a button close by Escape and by a click beside them.
const POPUPS = "[data-account][open], [data-popup][open]";
document.addEventListener("click", (event) => {
  for (const popup of document.querySelectorAll(POPUPS)) {
    if (!popup.contains(event.target) && !event.target.closest("dialog")) popup.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  const popup = event.key === "Escape" && event.target.closest(POPUPS);
  if (!popup) return;
  event.stopPropagation();
  popup.open = false;
  popup.querySelector("summary").focus();
});
