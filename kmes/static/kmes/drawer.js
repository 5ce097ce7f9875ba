// The task drawer: folded or open, as high as the user made it (both remembered), and the badges that
// count what runs. On a phone it is hidden, and its link in the header leads to a page of its own.

const root = document.documentElement;
const drawer = document.querySelector("[data-drawer]");
const toggle = drawer?.querySelector("[data-drawer-toggle]");
const grip = drawer?.querySelector("[data-drawer-resize]");
const body = document.getElementById("drawer-body");
const LOWEST = 96;
const STEP = 24;
// Who opened the drawer from elsewhere gets the focus back when Escape folds it.
let opener = null;

function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch { /* a browser that keeps nothing opens it anew on each page */ }
}

const isOpen = () => root.dataset.drawer === "open";
const highest = () => Math.max(LOWEST, Math.round(innerHeight * 0.7));

function show(open) {
  if (open) root.dataset.drawer = "open";
  else delete root.dataset.drawer;
  toggle.setAttribute("aria-expanded", String(open));
  keep("kmes-drawer", open ? "open" : "closed");
  if (open) tell();
}

// A separator that moves says where it stands.
function tell() {
  grip.setAttribute("aria-valuemin", String(LOWEST));
  grip.setAttribute("aria-valuemax", String(highest()));
  grip.setAttribute("aria-valuenow", String(Math.round(body.getBoundingClientRect().height)));
}

function resize(height, isFinal = true) {
  const now = Math.round(Math.max(LOWEST, Math.min(height, highest())));
  root.style.setProperty("--k-drawer-height", `${now}px`);
  tell();
  if (isFinal) keep("kmes-drawer-height", String(now));
}

function drag(event) {
  event.preventDefault();
  grip.focus();
  grip.setPointerCapture(event.pointerId);
  const from = event.clientY + body.getBoundingClientRect().height;
  const move = (moved) => resize(from - moved.clientY, false);
  grip.addEventListener("pointermove", move);
  grip.addEventListener("lostpointercapture", () => {
    grip.removeEventListener("pointermove", move);
    resize(body.getBoundingClientRect().height);
  }, { once: true });
}

function onGripKey(event) {
  const height = body.getBoundingClientRect().height;
  const wanted = {
    ArrowUp: height + STEP,
    ArrowDown: height - STEP,
    PageUp: height + 4 * STEP,
    PageDown: height - 4 * STEP,
    Home: LOWEST,
    End: highest(),
  }[event.key];
  if (wanted === undefined) return;
  event.preventDefault();
  resize(wanted);
}

export function toggleDrawer(from = null) {
  if (!drawer || getComputedStyle(drawer).display === "none") return false;
  opener = isOpen() ? null : from;
  show(!isOpen());
  if (isOpen()) toggle.focus();
  return true;
}

function write(badges, number) {
  for (const badge of document.querySelectorAll(badges)) {
    badge.hidden = number === 0;
    badge.querySelector("[data-number]").textContent = String(number);
  }
}

function count() {
  const told = document.getElementById("drawer-jobs")?.dataset;
  write("[data-running-count]", Number(told?.running || 0));
  write("[data-decide-count]", Number(told?.toDecide || 0));
}

// A job of the user's that has ended is told in the bar for a while, on whatever page they are by then.
const NEWS_MS = 10_000;
let newsTimer = 0;

function tellEnd() {
  const place = drawer?.querySelector("[data-drawer-news]");
  const told = document.getElementById("drawer-jobs")?.dataset;
  if (!place || !told || told.running === undefined) return;
  let known = null;
  try {
    known = sessionStorage.getItem("kmes-ended");
    sessionStorage.setItem("kmes-ended", told.ended ?? "");
  } catch { return; }
  // The first look of a tab tells nothing new, and the job's own page says it already.
  if (known === null || !told.ended || known === told.ended || location.pathname === told.endedUrl) return;
  const link = document.createElement("a");
  link.href = told.endedUrl;
  link.textContent = told.endedText;
  place.replaceChildren(link);
  clearTimeout(newsTimer);
  newsTimer = setTimeout(() => place.replaceChildren(), NEWS_MS);
}

if (drawer) {
  toggle.setAttribute("aria-expanded", String(isOpen()));
  if (isOpen()) tell();
  toggle.addEventListener("click", () => show(!isOpen()));
  grip.addEventListener("pointerdown", drag);
  grip.addEventListener("keydown", onGripKey);
  drawer.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || !isOpen()) return;
    show(false);
    (opener?.isConnected ? opener : toggle).focus();
    opener = null;
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-drawer-open]");
    if (!link || event.ctrlKey || event.metaKey || event.button !== 0) return;
    if (toggleDrawer(link)) event.preventDefault();
  });
  addEventListener("resize", () => { if (isOpen()) tell(); });
}
document.addEventListener("console:changed", () => { count(); tellEnd(); });
count();
