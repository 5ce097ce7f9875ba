// A version's bar in the lifeline and its events in the list below: pointing at the bar shows both, activating it filters
// the list. Without script the bars and the filter's links lead to a page of the same events.
import { replaceParts } from "./htmx.js";

const list = () => document.getElementById("key-events");
const bars = () => document.querySelectorAll(".picture-lifeline a[data-version]");

function point(version) {
  for (const bar of bars()) bar.classList.toggle("is-pointed", bar.dataset.version === version);
  for (const row of document.querySelectorAll("#key-events [data-versions]")) {
    const concerned = row.dataset.versions.split(" ");
    row.classList.toggle("is-pointed", Boolean(version) && (concerned.includes(version) || concerned[0] === "all"));
  }
}

// The bar whose events the list shows says so.
function mark() {
  const shown = list()?.dataset.version;
  for (const bar of document.querySelectorAll(".picture-lifeline a[data-filters]")) {
    if (bar.dataset.version === shown) bar.setAttribute("aria-current", "true");
    else bar.removeAttribute("aria-current");
  }
}

async function filter(link) {
  const [url, version, inList] = [link.getAttribute("href"), link.dataset.version, list().contains(link)];
  if (!(await replaceParts(url, ["key-events"]))) return;
  const address = new URL(location.href);
  address.searchParams.set("version", version);
  history.replaceState(history.state, "", address);
  document.getElementById("announcer").textContent = list().dataset.announce;
  const title = document.getElementById("key-events-title");
  title.scrollIntoView({ block: "nearest" });
  // The link is gone with the list that it stood in.
  if (inList) title.focus();
}

const versionUnder = (element) => element.closest?.(".picture-lifeline a[data-version]")?.dataset.version ?? "";

document.addEventListener("pointerover", (event) => {
  if (list() && bars().length) point(versionUnder(event.target) || versionUnder(document.activeElement));
});
document.addEventListener("focusin", (event) => { if (list()) point(versionUnder(event.target)); });
document.addEventListener("focusout", () => { if (list()) point(""); });
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-filters=events]");
  if (!link || !list()?.dataset.version || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  filter(link);
});
document.addEventListener("console:changed", mark);
