// The task drawer: its state is remembered, its badge counts what runs.

const drawer = document.querySelector("[data-drawer]");
const toggle = drawer?.querySelector("[data-drawer-toggle]");
const body = document.getElementById("drawer-body");
const STATE = "kmes-drawer";

function show(open) {
  body.hidden = !open;
  toggle.setAttribute("aria-expanded", String(open));
  try {
    localStorage.setItem(STATE, open ? "open" : "closed");
  } catch { /* a browser that keeps nothing opens it anew on each page */ }
}

function wasOpen() {
  try {
    return localStorage.getItem(STATE) === "open";
  } catch {
    return false;
  }
}

function count() {
  const badge = document.getElementById("drawer-count");
  const running = Number(document.getElementById("drawer-jobs")?.dataset.running || 0);
  if (!badge) return;
  badge.hidden = running === 0;
  badge.textContent = String(running);
}

if (drawer) {
  show(wasOpen() && innerWidth >= 768);
  toggle.addEventListener("click", () => show(body.hidden));
  drawer.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    show(false);
    toggle.focus();
  });
  document.addEventListener("console:changed", count);
  count();
}
