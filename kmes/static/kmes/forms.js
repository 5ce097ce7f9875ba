// Forms: one submission each, and a button that says what is under way.

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-once]")) return;
  if (form.dataset.sent) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  form.dataset.sent = "1";
  const button = event.submitter || form.querySelector("[type=submit]");
  if (!button) return;
  const label = button.textContent;
  button.setAttribute("aria-disabled", "true");
  if (button.dataset.busy) button.textContent = button.dataset.busy;
  // Back in the history, or after a refused answer that left the form: it can be sent again.
  const restore = () => {
    delete form.dataset.sent;
    button.removeAttribute("aria-disabled");
    button.textContent = label;
  };
  addEventListener("pageshow", restore, { once: true });
  setTimeout(restore, 15000);
}, true);

// A box with data-check-all governs the boxes of the same name in its table.
function countChecked(form) {
  const boxes = [...form.querySelectorAll("tbody [data-check-row]")];
  const checked = boxes.filter((box) => box.checked);
  const all = form.querySelector("[data-check-all]");
  if (all) {
    all.checked = boxes.length > 0 && checked.length === boxes.length;
    all.indeterminate = checked.length > 0 && checked.length < boxes.length;
  }
  for (const bar of form.querySelectorAll("[data-checked-bar]")) bar.hidden = checked.length === 0;
  for (const place of form.querySelectorAll("[data-checked-count]")) place.textContent = String(checked.length);
  for (const box of boxes) box.closest("tr").setAttribute("aria-selected", String(box.checked));
}

let lastBox = null;
document.addEventListener("click", (event) => {
  const box = event.target.closest("[data-check-row]");
  if (!box) return;
  const form = box.closest("form");
  if (event.shiftKey && lastBox && form.contains(lastBox)) {
    const boxes = [...form.querySelectorAll("[data-check-row]")];
    const [from, to] = [boxes.indexOf(lastBox), boxes.indexOf(box)].sort((a, b) => a - b);
    for (const between of boxes.slice(from, to + 1)) between.checked = box.checked;
  }
  lastBox = box;
  countChecked(form);
});
document.addEventListener("change", (event) => {
  const all = event.target.closest("[data-check-all]");
  if (!all) return;
  const form = all.closest("form");
  for (const box of form.querySelectorAll("[data-check-row]")) box.checked = all.checked;
  countChecked(form);
});

// Prefills one field from another while the user has not typed into it: data-follows="#id".
document.addEventListener("input", (event) => {
  if (event.target.matches("[data-follows]")) event.target.dataset.own = "1";
  for (const field of document.querySelectorAll(`[data-follows="#${CSS.escape(event.target.id)}"]:not([data-own])`)) {
    field.value = event.target.value.trim().replace(/[^0-9a-zA-Z-]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 127);
  }
});
