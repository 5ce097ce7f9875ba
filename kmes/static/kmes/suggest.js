// A field with data-suggest offers names that hold what was typed; the server searches them (ARIA combobox with a
// listbox). A name that is chosen counts at once. Without script the name is typed.
const WAIT_MS = 150;
let timer = 0;
let asking = null;

const listOf = (field) => document.getElementById(field.dataset.suggestList);
const optionsOf = (field) => [...listOf(field).children];
const chosenIn = (field) => listOf(field).querySelector("[aria-selected=true]");

function show(field, names) {
  const list = listOf(field);
  list.replaceChildren(...names.map((name, place) => {
    const option = document.createElement("li");
    option.id = `${list.id}-${place}`;
    option.role = "option";
    option.ariaSelected = "false";
    option.textContent = name;
    return option;
  }));
  list.hidden = names.length === 0;
  field.role = "combobox";
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-controls", list.id);
  field.setAttribute("aria-expanded", String(!list.hidden));
  field.removeAttribute("aria-activedescendant");
}

function hide(field) {
  clearTimeout(timer);
  asking?.abort();
  if (!listOf(field).hidden) show(field, []);
}

async function ask(field) {
  asking?.abort();
  const question = asking = new AbortController();
  const text = field.value.trim();
  try {
    const answer = await fetch(`${field.dataset.suggest}?q=${encodeURIComponent(text)}`, {
      credentials: "same-origin", redirect: "manual", signal: question.signal,
    });
    if (!answer.ok) return;
    const { names } = await answer.json();
    if (!question.signal.aborted && document.activeElement === field) show(field, names);
  } catch { /* asked anew meanwhile, or the server is away: the name can be typed */ }
}

function step(field, by) {
  const all = optionsOf(field);
  const before = chosenIn(field);
  const next = all[before ? (all.indexOf(before) + by + all.length) % all.length : by > 0 ? 0 : all.length - 1];
  if (before) before.ariaSelected = "false";
  next.ariaSelected = "true";
  field.setAttribute("aria-activedescendant", next.id);
  next.scrollIntoView({ block: "nearest" });
}

function take(field, option) {
  field.value = option.textContent;
  hide(field);
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

document.addEventListener("input", (event) => {
  const field = event.target.closest("[data-suggest]");
  if (!field) return;
  clearTimeout(timer);
  timer = setTimeout(() => ask(field), WAIT_MS);
});

document.addEventListener("keydown", (event) => {
  const field = event.target.closest?.("[data-suggest]");
  if (!field || event.isComposing || listOf(field).hidden) return;
  const option = chosenIn(field);
  if (event.key === "ArrowDown") step(field, 1);
  else if (event.key === "ArrowUp") step(field, -1);
  else if (event.key === "Enter" && option) take(field, option);
  // The first Escape closes the list; the next one is for what the field stands in.
  else if (event.key === "Escape") hide(field);
  else return;
  event.preventDefault();
  event.stopPropagation();
}, true);

// A press on a name must not take the focus from its field, which would close the list.
document.addEventListener("pointerdown", (event) => {
  if (event.target.closest(".suggest-list")) event.preventDefault();
});
document.addEventListener("click", (event) => {
  const option = event.target.closest(".suggest-list > [role=option]");
  if (!option) return;
  const field = document.querySelector(`[data-suggest-list="${CSS.escape(option.parentElement.id)}"]`);
  // Not at once: what closes by a click elsewhere would not find the name in its place.
  setTimeout(() => {
    take(field, option);
    field.focus();
  });
});
document.addEventListener("focusout", (event) => {
  if (event.target.matches("[data-suggest]")) hide(event.target);
});
