// Fills in a form that was sent when the session had ended. It sends nothing: the user does that again.
const kept = document.querySelector("[data-unsent]");
// What the page itself decides, or what must be given anew.
const SKIPPED = new Set(["hidden", "password", "file", "submit", "button", "reset", "image"]);

function formOf(action) {
  const wanted = new URL(action, location.href);
  const posts = [...document.forms].filter((form) => form.method === "post");
  const address = (form) => new URL(form.getAttribute("action") || location.href, location.href);
  return posts.find((form) => address(form).pathname + address(form).search === wanted.pathname + wanted.search)
    || posts.find((form) => address(form).pathname === wanted.pathname);
}

function fill(control, values) {
  const before = control.multiple ? null : control.value;
  if (control.type === "checkbox" || control.type === "radio") {
    const wanted = values.includes(control.value);
    if (control.checked === wanted) return;
    control.checked = wanted;
  } else if (control.multiple) {
    for (const option of control.options) option.selected = values.includes(option.value);
  } else {
    if (!values.length) return;
    control.value = values.shift();
    if (control.value === before) return;
  }
  // What depends on the field follows as if it had been typed.
  control.dispatchEvent(new Event("input", { bubbles: true }));
  control.dispatchEvent(new Event("change", { bubbles: true }));
}

if (kept) {
  const { action, fields } = JSON.parse(kept.dataset.unsent);
  const form = formOf(action);
  const typed = new Map();
  for (const [name, value] of fields) typed.set(name, [...(typed.get(name) || []), value]);
  for (const control of form ? [...form.elements] : []) {
    if (control.name && !SKIPPED.has(control.type)) fill(control, typed.get(control.name) || []);
  }
}
