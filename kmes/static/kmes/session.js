// Warns a minute before the session ends, with a button that keeps it. Asking how long it lasts is no use of it.
const warning = document.getElementById("session-warning");
const WARNED_SECONDS = 60;
// A timer longer than this fires at once; no session lasts so long.
const LONGEST_MS = 2 ** 31 - 1;
let timer = 0;

function after(seconds, act) {
  clearTimeout(timer);
  timer = setTimeout(act, Math.min(seconds * 1000, LONGEST_MS));
}

function show(left) {
  const rest = Math.min(left.unused, left.whole);
  warning.hidden = rest > WARNED_SECONDS;
  if (!warning.hidden) {
    // A use makes the session longer only up to its whole time.
    const isWhole = left.whole <= left.unused;
    warning.querySelector("[data-when-whole]").hidden = !isWhole;
    warning.querySelector("[data-when-unused]").hidden = isWhole;
    warning.querySelector("form").hidden = isWhole;
    warning.querySelector("[data-countdown]").dataset.countdown = new Date(Date.now() + rest * 1000).toISOString();
  }
  after(warning.hidden ? rest - WARNED_SECONDS : rest + 1, () => ask());
}

async function ask(body) {
  const options = body ? { method: "POST", body } : { headers: { "X-Kmes-Poll": "1" } };
  try {
    const answer = await fetch(warning.dataset.sessionTime, { credentials: "same-origin", redirect: "manual", ...options });
    if (answer.ok) return show(await answer.json());
    if (answer.status === 401 || answer.type === "opaqueredirect") {
      warning.hidden = true;
      document.getElementById("session-ended").hidden = false;
      return undefined;
    }
  } catch { /* the server is away; the banner of the polls says so */ }
  return after(WARNED_SECONDS / 4, () => ask());
}

if (warning) {
  show({ unused: Number(warning.dataset.rest), whole: Infinity });
  warning.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    ask(new FormData(event.target));
  });
  // A machine that slept has missed its timer.
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
}
