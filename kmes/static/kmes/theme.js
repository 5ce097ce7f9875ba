// Sets the colours before the first paint: the user's choice, else the system's. Loaded without defer.
(() => {
  const KEY = "kmes-theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const ofSystem = () => (system.matches ? "dark" : "light");
  let chosen = null;
  // A browser that keeps nothing for us throws; the choice then lasts as long as the page.
  try {
    chosen = localStorage.getItem(KEY);
  } catch { /* nothing kept */ }

  const apply = () => { root.dataset.bsTheme = chosen || ofSystem(); };
  root.classList.add("has-script");
  apply();
  system.addEventListener("change", apply);

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const other = root.dataset.bsTheme === "dark" ? "light" : "dark";
    // Who chooses what the system has follows the system again.
    chosen = other === ofSystem() ? null : other;
    apply();
    try {
      if (chosen) localStorage.setItem(KEY, chosen);
      else localStorage.removeItem(KEY);
    } catch { /* nothing kept */ }
  });
})();
