// A field with data-suggest offers names that hold what was typed; the server searches them. A name that is chosen counts at once.
const WAIT_MS = 150;
let timer = 0;
let asking = null;

async function ask(field) {
  asking?.abort();
  asking = new AbortController();
  const text = field.value.trim();
  const list = document.getElementById(field.getAttribute("list"));
  try {
    const answer = await fetch(`${field.dataset.suggest}?q=${encodeURIComponent(text)}`, {
      credentials: "same-origin", redirect: "manual", signal: asking.signal,
    });
    if (!answer.ok) return;
    const { names } = await answer.json();
    list.replaceChildren(...names.map((name) => new Option(name, name)));
  } catch { /* asked anew meanwhile, or the server is away: the name can be typed */ }
}

document.addEventListener("input", (event) => {
  const field = event.target.closest("[data-suggest]");
  if (!field) return;
  clearTimeout(timer);
  const offered = [...document.getElementById(field.getAttribute("list")).options].map((option) => option.value);
  // What a browser puts in from the list is no typing.
  if (event.inputType === "insertReplacementText" || event.inputType === undefined) {
    if (offered.includes(field.value)) {
      field.dispatchEvent(new Event("change", { bubbles: true }));
      return;
    }
  }
  timer = setTimeout(() => ask(field), WAIT_MS);
});
