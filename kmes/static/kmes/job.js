// A job's page: the log follows its end only while the reader is there; find and wrap; each step is
// announced once. New lines and states are put into the page by htmx; this file only watches.

const NEAR = 24;

function isAtEnd(log) {
  return log.scrollHeight - log.scrollTop - log.clientHeight <= NEAR;
}

function follow(log) {
  let atEnd = true;
  log.addEventListener("scroll", () => { atEnd = isAtEnd(log); }, { passive: true });
  if (!location.hash) log.scrollTop = log.scrollHeight;
  else atEnd = false;
  new MutationObserver(() => {
    if (atEnd) log.scrollTop = log.scrollHeight;
  }).observe(log, { childList: true });
}

function findInLog(box, log) {
  const input = box.querySelector("[data-log-find]");
  const found = box.querySelector("[data-log-found]");
  if (!input) return;
  const hideOthers = () => {
    const wanted = input.value.trim().toLowerCase();
    let count = 0;
    for (const line of log.children) {
      line.hidden = wanted !== "" && !line.textContent.toLowerCase().includes(wanted);
      if (!line.hidden) count += 1;
    }
    if (found) found.textContent = wanted ? `${count} ${found.dataset.words}` : "";
  };
  input.addEventListener("input", hideOthers);
  new MutationObserver(() => { if (input.value) hideOthers(); }).observe(log, { childList: true });
}

function wrapLines(box, log) {
  box.querySelector("[data-log-wrap]")?.addEventListener("change", (event) => {
    log.classList.toggle("text-nowrap", !event.target.checked);
  });
}

// The live part is replaced as a whole, which screen readers would not read: say its gist instead.
function announce(live) {
  const announcer = document.getElementById("announcer");
  let said = live.dataset.announce;
  new MutationObserver(() => {
    const now = document.getElementById(live.id)?.dataset.announce;
    if (announcer && now && now !== said) {
      said = now;
      announcer.textContent = now;
    }
  }).observe(live.parentElement, { childList: true });
}

export function start() {
  const box = document.querySelector("[data-job-log]");
  const log = box?.querySelector("[data-follow]");
  const live = document.querySelector("[data-announce]");
  if (log) {
    follow(log);
    findInLog(box, log);
    wrapLines(box, log);
  }
  if (live) announce(live);
}

start();
