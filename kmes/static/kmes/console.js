// The console's entry: each module owns one manner and finds its elements by data attributes, so that
// pages and fragments that arrive later need no code of their own.
import "./htmx.js";
import "./dialog.js";
import "./menu.js";
import "./forms.js";
import "./rows.js";
import "./copy.js";
import "./drawer.js";
import "./job.js";

document.addEventListener("click", (event) => {
  const toggle = event.target.closest("[data-tree-toggle]");
  if (!toggle) return;
  event.preventDefault();
  const open = document.getElementById("tree").classList.toggle("is-open");
  toggle.setAttribute("aria-expanded", String(open));
});
