// The panes of a workbench: their widths are dragged or set by keys and remembered, and on a phone each
// pane is a page. A separator with data-resize="NAME" sets --k-NAME-width; it stands after the groups and
// before the inspector.
const root = document.documentElement;
const NARROWEST = 200;
const STEP = 24;

const paneOf = (grip) => document.getElementById(grip.getAttribute("aria-controls"));
const widest = () => Math.max(NARROWEST, Math.round(innerWidth * 0.4));

// Whether a movement to the right makes the pane wider.
function growsRightward(grip) {
  const isRtl = getComputedStyle(grip).direction === "rtl";
  return (grip.dataset.resize === "groups") !== isRtl;
}

function tell(grip) {
  const width = Math.round(paneOf(grip).getBoundingClientRect().width);
  grip.setAttribute("aria-valuemin", String(NARROWEST));
  grip.setAttribute("aria-valuemax", String(Math.max(widest(), width)));
  grip.setAttribute("aria-valuenow", String(width));
}

function resize(grip, width, isFinal = true) {
  const now = Math.round(Math.max(NARROWEST, Math.min(width, widest())));
  root.style.setProperty(`--k-${grip.dataset.resize}-width`, `${now}px`);
  tell(grip);
  if (!isFinal) return;
  try {
    localStorage.setItem(`kmes-${grip.dataset.resize}-width`, String(now));
  } catch { /* a browser that keeps nothing shows the usual width on the next page */ }
}

function drag(grip, event) {
  event.preventDefault();
  grip.focus();
  grip.setPointerCapture(event.pointerId);
  const [start, width] = [event.clientX, paneOf(grip).getBoundingClientRect().width];
  const sign = growsRightward(grip) ? 1 : -1;
  const move = (moved) => resize(grip, width + sign * (moved.clientX - start), false);
  grip.addEventListener("pointermove", move);
  grip.addEventListener("lostpointercapture", () => {
    grip.removeEventListener("pointermove", move);
    resize(grip, paneOf(grip).getBoundingClientRect().width);
  }, { once: true });
}

function onKey(grip, event) {
  const width = paneOf(grip).getBoundingClientRect().width;
  const sign = growsRightward(grip) ? 1 : -1;
  const wanted = {
    ArrowRight: width + sign * STEP,
    ArrowLeft: width - sign * STEP,
    PageUp: width + 4 * STEP,
    PageDown: width - 4 * STEP,
    Home: NARROWEST,
    End: widest(),
  }[event.key];
  if (wanted === undefined) return;
  event.preventDefault();
  resize(grip, wanted);
}

export function tellWidths() {
  for (const grip of document.querySelectorAll("[data-resize]")) {
    if (grip.offsetParent) tell(grip);
  }
}

for (const grip of document.querySelectorAll("[data-resize]")) {
  grip.addEventListener("pointerdown", (event) => drag(grip, event));
  grip.addEventListener("keydown", (event) => onKey(grip, event));
}
addEventListener("resize", tellWidths);
tellWidths();

// On a phone the groups, the keys and the details are pages of their own; the address says which one shows.
const workbench = document.getElementById("workbench");
document.addEventListener("console:changed", () => {
  if (!workbench) return;
  const query = new URLSearchParams(location.search);
  const isSearch = query.get("q") || query.get("vault") || query.get("state");
  workbench.dataset.page = query.get("group") ? "keys" : isSearch ? "both" : "groups";
});

// The chosen group is in sight, however far down its list it stands.
document.querySelector("#groups-scroll [aria-current]")?.scrollIntoView({ block: "nearest" });
