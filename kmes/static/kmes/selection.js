// Several rows at once: click, Shift, Ctrl, Space, the box in the heading, and "all that match".
// A form with data-pick holds a table or a tree; its value is the page of what can be done with the rows.
// The boxes are the truth; what was picked outlives a list that renews itself.
import { openDialog } from "./dialog.js";

const ROW = "form[data-pick] :is(tbody tr, .tree-node)";
let anchor = null;
// What was picked in each form, and for which filter.
const kept = new Map();

const formOf = (element) => element.closest("form[data-pick]");
const boxesOf = (form) => [...form.querySelectorAll("[data-check-row]")];
const shownBoxesOf = (form) => boxesOf(form).filter((box) => !box.closest("ul[hidden]"));
// In a tree the boxes of the branch below are not the row's own.
const boxOf = (row) => row.querySelector(row.matches("tr") ? "[data-check-row]" : ":scope > .tree-row > [data-check-row]");
const matching = (form) => form.querySelector("[data-check-matching]");
const isTree = (form) => Boolean(form.querySelector("[data-tree]"));

function place(form) {
  return form.querySelector("[name=filter]")?.value || "";
}

function show(form) {
  const boxes = boxesOf(form);
  const everything = Boolean(matching(form)?.checked);
  const checked = boxes.filter((box) => box.checked);
  // One in the heading, and one in the bar for cards, which have no heading; only one of them is seen.
  for (const all of form.querySelectorAll("[data-check-all]")) {
    all.checked = boxes.length > 0 && checked.length === boxes.length;
    all.indeterminate = checked.length > 0 && checked.length < boxes.length;
  }
  for (const box of boxes) {
    const row = box.closest("tr, .tree-row");
    // In a tree the selected item is the one that is shown beside it.
    row.setAttribute(row.matches("tr") ? "aria-selected" : "aria-checked", String(box.checked || everything));
  }
  const count = everything ? Number(matching(form).dataset.count) : checked.length;
  for (const shown of form.querySelectorAll("[data-checked-count]")) shown.textContent = String(count);
  for (const button of form.querySelectorAll("[data-selection-action]")) {
    button.setAttribute("aria-disabled", String(count === 0));
  }
  form.classList.toggle("has-selection", count > 0);
  kept.set(form.dataset.pick, { place: place(form), values: new Set(checked.map((box) => box.value)) });
}

function selectOnly(form, boxes) {
  for (const box of boxesOf(form)) box.checked = boxes.includes(box);
  if (matching(form)) matching(form).checked = false;
  show(form);
}

// In a table the range replaces what was selected; the boxes of a tree are added to.
function selectUpTo(form, box) {
  const boxes = shownBoxesOf(form);
  const [from, to] = [Math.max(0, boxes.indexOf(anchor)), boxes.indexOf(box)].sort((a, b) => a - b);
  const range = boxes.slice(from, to + 1);
  selectOnly(form, isTree(form) ? boxesOf(form).filter((each) => each.checked || range.includes(each)) : range);
}

function toggle(form, box) {
  box.checked = !box.checked;
  anchor = box;
  show(form);
}

// What the menu of a row acts on when the row is one of several that are selected; else null.
export function selectionOf(row) {
  const form = formOf(row);
  const box = form && row.matches(ROW) && boxOf(row);
  if (!box || !(box.checked || matching(form)?.checked)) return null;
  const several = matching(form)?.checked || boxesOf(form).filter((each) => each.checked).length > 1;
  return several ? selectionIn(form) : null;
}

export function selectionIn(form) {
  return { url: form.dataset.pick, values: new FormData(form) };
}

export function selectFor(row) {
  const form = formOf(row);
  const box = form && row.matches("tbody tr") && boxOf(row);
  if (box && !box.checked) {
    anchor = box;
    selectOnly(form, [box]);
  }
}

// The keys of a tree (tree.js). Each says whether the item has a box.
export function toggleItem(item) {
  const form = formOf(item);
  const box = form && boxOf(item.parentElement);
  if (box) toggle(form, box);
  return Boolean(box);
}

export function extendTo(from, item) {
  const form = formOf(item);
  const box = form && boxOf(item.parentElement);
  if (!box) return;
  if (!anchor || !form.contains(anchor)) anchor = boxOf(from.parentElement) || box;
  selectUpTo(form, box);
}

export function selectShown(item) {
  const form = formOf(item);
  if (form) selectOnly(form, shownBoxesOf(form));
  return Boolean(form);
}

document.addEventListener("click", (event) => {
  const clear = event.target.closest("[data-clear-selection]");
  if (clear) {
    const form = formOf(clear);
    selectOnly(form, []);
    form.querySelector("tbody tr, [role=treeitem][tabindex='0']")?.focus();
  }
  const row = event.target.closest(ROW);
  if (!row || event.button !== 0) return;
  const form = formOf(row);
  const box = boxOf(row);
  if (event.target === box) {
    if (event.shiftKey && anchor && form.contains(anchor)) selectUpTo(form, box);
    else anchor = box;
    show(form);
  } else if (box && row.matches("tr") && !event.target.closest("a, button, label") && getSelection().isCollapsed) {
    if (event.shiftKey) selectUpTo(form, box);
    else if (event.ctrlKey || event.metaKey) toggle(form, box);
    else {
      anchor = box;
      selectOnly(form, [box]);
    }
  }
});

// On a line of a tree, Ctrl and Shift select; they neither show the group nor open a window. Before htmx sees it.
document.addEventListener("click", (event) => {
  const line = event.target.closest("form[data-pick] .tree-link");
  if (!line || event.button !== 0 || !(event.ctrlKey || event.metaKey || event.shiftKey)) return;
  const box = boxOf(line.closest(".tree-node"));
  if (!box) return;
  event.preventDefault();
  event.stopPropagation();
  const form = formOf(line);
  if (event.shiftKey && anchor && form.contains(anchor)) selectUpTo(form, box);
  else toggle(form, box);
  // The keys of the tree go on from here.
  const item = line.parentElement;
  for (const other of form.querySelectorAll("[role=treeitem][tabindex='0']")) other.tabIndex = -1;
  item.tabIndex = 0;
  item.focus();
}, true);

// Shift and a click would select the text between two rows.
document.addEventListener("mousedown", (event) => {
  if (event.shiftKey && event.button === 0 && event.target.closest(ROW)) event.preventDefault();
});

document.addEventListener("change", (event) => {
  const form = formOf(event.target);
  if (!form) return;
  if (event.target.matches("[data-check-all]")) {
    for (const box of boxesOf(form)) box.checked = event.target.checked;
  }
  show(form);
});

document.addEventListener("keydown", (event) => {
  const row = event.target.closest("form[data-pick] tbody tr");
  if (!row || event.target !== row) return;
  const form = formOf(row);
  const box = boxOf(row);
  const by = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (event.key === " ") {
    if (event.ctrlKey || event.metaKey) toggle(form, box);
    else {
      anchor = box;
      selectOnly(form, [box]);
    }
  } else if (by && event.shiftKey && row[by]) {
    if (!anchor || !form.contains(anchor)) anchor = box;
    row[by].focus();
    selectUpTo(form, boxOf(row[by]));
  } else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) selectOnly(form, boxesOf(form));
  else return;
  event.preventDefault();
});

// The buttons of the bar ask in a dialog; without script they lead to the page.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-pick]") || !event.submitter?.hasAttribute("formaction")) return;
  event.preventDefault();
  if (event.submitter.getAttribute("aria-disabled") === "true") return;
  openDialog(event.submitter.formAction, event.submitter, new FormData(form));
});

// Marks boxes that came later, and checks those that were picked before their list renewed itself.
export function restore() {
  for (const form of document.querySelectorAll("form[data-pick]")) {
    const before = kept.get(form.dataset.pick);
    if (before?.place === place(form)) {
      for (const box of boxesOf(form)) box.checked = box.checked || before.values.has(box.value);
    }
    show(form);
  }
}
restore();
document.addEventListener("console:changed", restore);
