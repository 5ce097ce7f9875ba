// Shortcuts of a single letter: ? lists them, G and a letter goes to a page, / searches, T shows the tasks.
// None fires while one types, in a menu or a dialog; a user can switch all of them off (WCAG 2.1.4).
import { openDialog } from "./dialog.js";
import { toggleDrawer } from "./drawer.js";
import { openPalette } from "./palette.js";

const PATIENCE_MS = 1200;
const TYPING = "input, textarea, select, [contenteditable], [role=menu], [role=combobox], [role=separator], dialog";
let goes = 0;

function isForUs(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return false;
  return !event.target.closest(TYPING) && !document.querySelector("dialog[open], [role=menu]:popover-open");
}

function act(event) {
  const key = event.key.toLowerCase();
  if (goes && performance.now() - goes < PATIENCE_MS) {
    goes = 0;
    const link = document.querySelector(`[data-letter="${CSS.escape(key)}"]`);
    if (link) location.href = link.href;
    return Boolean(link);
  }
  goes = 0;
  if (key === "g") goes = performance.now();
  else if (key === "?") openDialog(document.body.dataset.shortcuts, document.activeElement);
  else if (key === "/") openPalette();
  else if (key === "t") toggleDrawer(document.activeElement);
  else return false;
  return true;
}

if (document.body.dataset.shortcuts) {
  document.addEventListener("keydown", (event) => {
    if (event.key.length === 1 && isForUs(event) && act(event)) event.preventDefault();
  });
}
