// Sections as tabs by the WAI-ARIA tabs pattern. Without script they stand below one another.
// [data-tabs] holds buttons with data-tab="id" and panels with those ids. A section with errors opens.

const tabsOf = (box) => [...box.querySelectorAll("[data-tab]")];
const panelOf = (tab) => document.getElementById(tab.dataset.tab);

function select(box, chosen, { focus = false } = {}) {
  for (const tab of tabsOf(box)) {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    panelOf(tab).hidden = !isChosen;
  }
  if (focus) chosen.focus();
  // A page says in its address which section it shows; a dialog has none.
  if (!box.closest("dialog")) history.replaceState(history.state, "", `#${chosen.dataset.tab}`);
}

function countErrors(tab) {
  const count = panelOf(tab).querySelectorAll(".field-error").length;
  if (!count) return 0;
  tab.dataset.errors = String(count);
  tab.setAttribute("aria-label", `${tab.textContent.trim()}: ${count} ${tab.dataset.errorWord}`);
  return count;
}

function dress(box) {
  if (box.dataset.tabs === "ready") return;
  box.dataset.tabs = "ready";
  const tabs = tabsOf(box);
  for (const tab of tabs) {
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", tab.dataset.tab);
    const panel = panelOf(tab);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
  }
  tabs[0].parentElement.setAttribute("role", "tablist");
  const failed = tabs.filter((tab) => countErrors(tab))[0];
  const named = tabs.find((tab) => `#${tab.dataset.tab}` === location.hash);
  select(box, failed || (!box.closest("dialog") && named) || tabs[0]);
  if (failed) panelOf(failed).querySelector(".is-invalid, [aria-invalid=true]")?.focus();
}

document.addEventListener("click", (event) => {
  const tab = event.target.closest("[data-tab]");
  if (tab) select(tab.closest("[data-tabs]"), tab);
});

document.addEventListener("keydown", (event) => {
  const tab = event.target.closest?.("[data-tab]");
  if (!tab) return;
  const box = tab.closest("[data-tabs]");
  const tabs = tabsOf(box);
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  let chosen = null;
  if (by) chosen = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length];
  else if (event.key === "Home") [chosen] = tabs;
  else if (event.key === "End") chosen = tabs.at(-1);
  else return;
  event.preventDefault();
  select(box, chosen, { focus: true });
});

function dressAll() {
  for (const box of document.querySelectorAll("[data-tabs]")) dress(box);
}
dressAll();
document.addEventListener("console:changed", dressAll);
