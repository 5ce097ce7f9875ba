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

// Prefills one field from another while the user has not typed into it: data-follows="#id".
document.addEventListener("input", (event) => {
  if (event.target.matches("[data-follows]")) event.target.dataset.own = "1";
  for (const field of document.querySelectorAll(`[data-follows="#${CSS.escape(event.target.id)}"]:not([data-own])`)) {
    field.value = event.target.value.trim().replace(/[^0-9a-zA-Z-]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 127);
  }
});
