// Context menus by right-click, Shift+F10 or Menu key, and the ⋮ button (WAI-ARIA menu pattern).
// The server renders the entries when a menu is first asked for; this file opens, moves and closes.
import { openDialog } from "./dialog.js";
import { selectFor, selectionIn, selectionOf } from "./selection.js";

let layer = null;
let opener = null;
let typed = "";
let typedAt = 0;
// Keys pressed while a menu is on its way from the server; they belong to it, not to the row below.
let early = null;
// The button or row whose menu is on its way; a second click on it takes the question back.
let awaited = null;
let asked = 0;
let hoverTimer = 0;
// What the open menu acts on when that is several rows.
let picked = null;
const HOVER_MS = 180;

// ``values``: what is picked in a table, where the menu is that of several rows.
async function fetchMenu(url, values) {
  const ask = { headers: { "HX-Request": "true" }, credentials: "same-origin" };
  const answer = await fetch(url, values ? { ...ask, method: "POST", body: values } : ask);
  if (!answer.ok) return null;
  const box = document.createElement("div");
  box.innerHTML = await answer.text();
  return box.querySelector("[role=menu]");
}

function place(menu, x, y) {
  menu.showPopover();
  const { width, height } = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(4, Math.min(x, innerWidth - width - 4))}px`;
  menu.style.top = `${Math.max(4, Math.min(y, innerHeight - height - 4))}px`;
}

function itemsOf(menu) {
  return [...menu.querySelectorAll("[role=menuitem]")].filter((item) => item.closest("[role=menu]") === menu);
}

export async function openMenu(url, at, from, values = null) {
  closeMenus(false);
  const question = ++asked;
  early = [];
  awaited = from;
  let menu = null;
  let lost = false;
  try {
    menu = await fetchMenu(url, values);
  } catch {
    lost = true;
  }
  // Meanwhile another menu was asked for, or this one no longer.
  if (question !== asked) return;
  const keys = early || [];
  early = null;
  awaited = null;
  if (lost) return;
  if (!menu) {
    if (!values) location.href = url;
    return;
  }
  opener = from;
  sayExpanded(true);
  layer = menu;
  picked = values;
  // A modal dialog makes the rest of the page inert: a menu asked for inside it belongs inside. Else it
  // belongs to the landmark it was asked for in, so that a screen reader's user knows where they are.
  (from?.closest("dialog, main, #tree, #drawer") || document.body).append(menu);
  place(menu, at.x, at.y);
  itemsOf(menu)[0]?.focus();
  for (const key of keys) {
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  }
}

// On a node of the tree the attribute speaks of its branch, so only buttons carry it for their menu.
function sayExpanded(isOpen) {
  if (opener?.hasAttribute("aria-haspopup")) opener.setAttribute("aria-expanded", String(isOpen));
}

export function closeMenus(giveFocusBack = true) {
  asked += 1;
  early = null;
  awaited = null;
  clearTimeout(hoverTimer);
  if (!layer) return;
  for (const menu of document.querySelectorAll("[role=menu]:popover-open")) menu.hidePopover();
  layer.remove();
  layer = null;
  sayExpanded(false);
  if (giveFocusBack && opener && document.contains(opener)) opener.focus();
  opener = null;
}

function openSubmenu(item, takeFocus = true) {
  const menu = item.nextElementSibling;
  clearTimeout(hoverTimer);
  const box = item.getBoundingClientRect();
  closeSubmenus(item.closest("[role=menu]"));
  item.setAttribute("aria-expanded", "true");
  menu.showPopover();
  const { width, height } = menu.getBoundingClientRect();
  const right = box.right - 4 + width <= innerWidth;
  menu.style.left = `${right ? box.right - 4 : Math.max(4, box.left - width + 4)}px`;
  menu.style.top = `${Math.max(4, Math.min(box.top - 4, innerHeight - height - 4))}px`;
  if (takeFocus) itemsOf(menu)[0]?.focus();
}

function closeSubmenus(menu) {
  for (const item of itemsOf(menu)) {
    if (item.getAttribute("aria-expanded") !== "true") continue;
    item.setAttribute("aria-expanded", "false");
    item.nextElementSibling.hidePopover();
  }
}

function activate(item, event) {
  if (item.getAttribute("aria-disabled") === "true") {
    event.preventDefault();
    return;
  }
  if (item.hasAttribute("aria-haspopup")) {
    event.preventDefault();
    openSubmenu(item);
    return;
  }
  if (item.dataset.selectionUrl) {
    event.preventDefault();
    const [back, values] = [opener, picked];
    closeMenus(false);
    openDialog(item.dataset.selectionUrl, back, values);
    return;
  }
  if (item.matches("a[data-dialog]") && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    event.stopPropagation();
    const back = opener;
    const url = item.href;
    closeMenus(false);
    openDialog(url, back);
    return;
  }
  // Links and copy buttons do their own work; the menu goes when that has begun.
  setTimeout(() => closeMenus(item.hasAttribute("data-copy")), 0);
}

// With a mouse the entry under the pointer is the focused one, and a submenu opens by resting on it.
// It waits a moment, so that the pointer may cross other entries on its way into a submenu.
document.addEventListener("pointermove", (event) => {
  const item = layer && event.pointerType === "mouse" && event.target.closest("[role=menuitem]");
  if (!item || !layer.contains(item) || item === document.activeElement) return;
  item.focus({ preventScroll: true });
  clearTimeout(hoverTimer);
  hoverTimer = setTimeout(() => {
    if (document.activeElement !== item) return;
    if (!item.hasAttribute("aria-haspopup")) closeSubmenus(item.closest("[role=menu]"));
    else if (item.getAttribute("aria-expanded") !== "true") openSubmenu(item, false);
  }, HOVER_MS);
});

function step(menu, by) {
  const items = itemsOf(menu);
  const now = items.indexOf(document.activeElement);
  items[(now + by + items.length) % items.length]?.focus();
}

function typeAhead(menu, letter) {
  const now = performance.now();
  typed = now - typedAt > 700 ? letter : typed + letter;
  typedAt = now;
  const items = itemsOf(menu);
  const start = items.indexOf(document.activeElement) + (typed.length === 1 ? 1 : 0);
  const order = [...items.slice(start), ...items.slice(0, start)];
  order.find((item) => item.textContent.trim().toLowerCase().startsWith(typed))?.focus();
}

function onMenuKey(event) {
  const menu = event.target.closest("[role=menu]");
  const item = event.target.closest("[role=menuitem]");
  const inSubmenu = menu !== layer;
  switch (event.key) {
    case "ArrowDown": step(menu, 1); break;
    case "ArrowUp": step(menu, -1); break;
    case "Home": itemsOf(menu)[0]?.focus(); break;
    case "End": itemsOf(menu).at(-1)?.focus(); break;
    case "ArrowRight": if (item?.hasAttribute("aria-haspopup")) openSubmenu(item); break;
    case "ArrowLeft":
    case "Escape":
      if (inSubmenu) {
        const parent = menu.previousElementSibling;
        closeSubmenus(parent.closest("[role=menu]"));
        parent.focus();
      } else if (event.key === "Escape") closeMenus();
      break;
    case "Tab": closeMenus(); return;
    case " ":
    case "Enter": item?.click(); break;
    default:
      if (event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey) return;
      typeAhead(menu, event.key.toLowerCase());
  }
  event.preventDefault();
  event.stopPropagation();
}

// Whether something was selected before the press: Firefox selects a picture by right-clicking it, and phones
// select the word under a long press.
let wasSelected = false;
document.addEventListener("pointerdown", () => { wasSelected = !getSelection().isCollapsed; }, true);

function leaveToBrowser(event) {
  if (event.button === 2 && event.shiftKey) return true;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return true;
  if (event.ctrlKey && event.target.closest("a")) return true;
  const selection = getSelection();
  if (selection.isCollapsed || (event.button === 2 && !wasSelected)) return false;
  return selection.containsNode(event.target, true);
}

document.addEventListener("contextmenu", (event) => {
  const owner = event.target.closest("[data-menu]");
  if (!owner || layer?.contains(event.target) || leaveToBrowser(event)) return;
  // A list's background is all of its page that is nothing else.
  if (owner.id === "content" && event.target.closest("a, button, summary, thead, .alert")) return;
  event.preventDefault();
  const byKey = event.button !== 2 || (event.clientX === 0 && event.clientY === 0);
  const focused = document.activeElement === document.body ? owner : document.activeElement;
  const box = (byKey ? focused : owner).getBoundingClientRect();
  const at = byKey ? { x: box.left + 16, y: box.bottom } : { x: event.clientX, y: event.clientY };
  // Inside a selection the menu acts on all of it; outside, the row is selected first.
  const selection = selectionOf(owner);
  if (!selection) selectFor(owner);
  // The button of this menu, not that of a row within.
  const button = [...owner.querySelectorAll("[data-menu-button]")].find((each) => each.closest("[data-menu]") === owner);
  const from = byKey ? focused : button || owner;
  if (selection) openMenu(selection.url, at, from, selection.values);
  else openMenu(owner.dataset.menu, at, from);
});

document.addEventListener("click", (event) => {
  if (event.button !== 0) return;
  const item = event.target.closest("[role=menuitem]");
  if (item && layer?.contains(item)) {
    activate(item, event);
    return;
  }
  const button = event.target.closest("[data-menu-button], [data-selection-menu]");
  if (button && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    const box = button.getBoundingClientRect();
    const at = { x: box.left, y: box.bottom + 2 };
    // The button of a selection's bar acts on what is selected; that of a row on the row.
    const selection = button.matches("[data-selection-menu]") ? selectionIn(button.form) : null;
    if (opener === button || awaited === button) closeMenus();
    else openMenu(selection?.url || button.href, at, button, selection?.values);
  }
}, true);

document.addEventListener("keydown", (event) => {
  if (early && !event.ctrlKey && !event.metaKey && !event.altKey) {
    early.push(event.key);
    event.preventDefault();
    event.stopPropagation();
  } else if (event.target.closest("[role=menu]")) onMenuKey(event);
  else if (event.target.matches("[data-menu-button], [data-selection-menu]") && [" ", "ArrowDown"].includes(event.key)) {
    event.preventDefault();
    event.target.click();
  }
}, true);
document.addEventListener("pointerdown", (event) => {
  if (layer && !layer.contains(event.target) && !event.target.closest("[data-menu-button], [data-selection-menu]")) closeMenus(false);
});
addEventListener("resize", () => closeMenus(false));

function dress() {
  // Without script the button is a link to a page of actions; with it, it opens a menu.
  for (const button of document.querySelectorAll("[data-menu-button]:not([role])")) {
    button.setAttribute("role", "button");
    button.setAttribute("aria-haspopup", "menu");
    button.setAttribute("aria-expanded", "false");
  }
}
dress();
document.addEventListener("console:changed", dress);
