// Several rows at once: click, Shift, Ctrl, Space, the box in the heading, and "all that match".
// A form with data-pick holds the table; its value is the page of what can be done with the rows.
// The boxes are the truth; what was picked outlives a table that renews itself.
import { openDialog } from "./dialog.js";

let anchor = null;
let kept = new Set();
let keptFor = "";

const formOf = (element) => element.closest("form[data-pick]");
const boxesOf = (form) => [...form.querySelectorAll("tbody [data-check-row]")];
const boxOf = (row) => row.querySelector("[data-check-row]");
const matching = (form) => form.querySelector("[data-check-matching]");

function place(form) {
  return form.querySelector("[name=filter]")?.value || "";
}

function show(form) {
  const boxes = boxesOf(form);
  const everything = matching(form)?.checked;
  const checked = boxes.filter((box) => box.checked);
  // One in the heading, and one in the bar for cards, which have no heading; only one of them is seen.
  for (const all of form.querySelectorAll("[data-check-all]")) {
    all.checked = boxes.length > 0 && checked.length === boxes.length;
    all.indeterminate = checked.length > 0 && checked.length < boxes.length;
  }
  for (const box of boxes) box.closest("tr").setAttribute("aria-selected", String(box.checked || Boolean(everything)));
  const count = everything ? Number(matching(form).dataset.count) : checked.length;
  for (const shown of form.querySelectorAll("[data-checked-count]")) shown.textContent = String(count);
  for (const button of form.querySelectorAll("[data-selection-action]")) {
    button.setAttribute("aria-disabled", String(count === 0));
  }
  form.classList.toggle("has-selection", count > 0);
  kept = new Set(checked.map((box) => box.value));
  keptFor = place(form);
}

function selectOnly(form, boxes) {
  for (const box of boxesOf(form)) box.checked = boxes.includes(box);
  if (matching(form)) matching(form).checked = false;
  show(form);
}

function selectUpTo(form, box) {
  const boxes = boxesOf(form);
  const [from, to] = [Math.max(0, boxes.indexOf(anchor)), boxes.indexOf(box)].sort((a, b) => a - b);
  selectOnly(form, boxes.slice(from, to + 1));
}

// What the menu of a row acts on when the row is one of several that are selected; else null.
export function selectionOf(row) {
  const form = formOf(row);
  if (!form || row.getAttribute("aria-selected") !== "true") return null;
  const several = matching(form)?.checked || boxesOf(form).filter((box) => box.checked).length > 1;
  return several ? { url: form.dataset.pick, values: new FormData(form) } : null;
}

export function selectFor(row) {
  const form = formOf(row);
  const box = form && boxOf(row);
  if (box && !box.checked) {
    anchor = box;
    selectOnly(form, [box]);
  }
}

document.addEventListener("click", (event) => {
  const clear = event.target.closest("[data-clear-selection]");
  if (clear) {
    const form = formOf(clear);
    selectOnly(form, []);
    form.querySelector("tbody tr")?.focus();
  }
  const row = event.target.closest("form[data-pick] tbody tr");
  if (!row || event.button !== 0) return;
  const form = formOf(row);
  const box = boxOf(row);
  if (event.target === box) {
    if (event.shiftKey && anchor) selectUpTo(form, box);
    else anchor = box;
    show(form);
  } else if (box && !event.target.closest("a, button, label") && getSelection().isCollapsed) {
    if (event.shiftKey) selectUpTo(form, box);
    else if (event.ctrlKey || event.metaKey) {
      box.checked = !box.checked;
      anchor = box;
      show(form);
    } else {
      anchor = box;
      selectOnly(form, [box]);
    }
  }
});

// Shift and a click would select the text between two rows.
document.addEventListener("mousedown", (event) => {
  if (event.shiftKey && event.button === 0 && event.target.closest("form[data-pick] tbody tr")) event.preventDefault();
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
    anchor = box;
    if (event.ctrlKey || event.metaKey) {
      box.checked = !box.checked;
      show(form);
    } else selectOnly(form, [box]);
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

function restore() {
  const form = document.querySelector("form[data-pick]");
  if (!form) return;
  if (place(form) === keptFor) {
    for (const box of boxesOf(form)) box.checked = box.checked || kept.has(box.value);
  }
  show(form);
}
restore();
document.addEventListener("console:changed", restore);
