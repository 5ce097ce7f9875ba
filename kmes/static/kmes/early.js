// What must stand before the first paint, or the page would jump: the colours, and how high the task
// drawer is. Loaded without defer. A browser that keeps nothing for us throws; then nothing is kept.
(() => {
  const root = document.documentElement;
  const kept = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  };
  const keep = (name, value) => {
    try {
      if (value) localStorage.setItem(name, value);
      else localStorage.removeItem(name);
    } catch { /* nothing kept */ }
  };

  // The server knows the choice of who is signed in; the sign-in page follows the last one made here.
  const COLOURS = "kmes-colours";
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = root.dataset.colours ?? kept(COLOURS) ?? "system";
  const apply = () => { root.dataset.bsTheme = chosen !== "system" ? chosen : system.matches ? "dark" : "light"; };
  root.classList.add("has-script");
  apply();
  if ("colours" in root.dataset) keep(COLOURS, chosen);
  system.addEventListener("change", apply);

  function choose(colours) {
    chosen = colours;
    root.dataset.colours = colours;
    apply();
    keep(COLOURS, colours);
    for (const button of document.querySelectorAll("button[name=colours]")) {
      button.setAttribute("aria-pressed", String(button.value === colours));
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=colours]");
    if (button?.form) {
      event.preventDefault();
      choose(button.value);
      fetch(button.form.action, { method: "POST", body: new FormData(button.form, button), redirect: "manual" })
        .catch(() => { /* chosen for this page; kept when the server answers again */ });
    } else if (event.target.closest("[data-theme-toggle]")) {
      choose(root.dataset.bsTheme === "dark" ? "light" : "dark");
    }
  });

  const height = Number(kept("kmes-drawer-height"));
  if (height) root.style.setProperty("--k-drawer-height", `${height}px`);
  if (kept("kmes-drawer") === "open") root.dataset.drawer = "open";
  for (const pane of ["groups", "inspector"]) {
    const width = Number(kept(`kmes-${pane}-width`));
    if (width) root.style.setProperty(`--k-${pane}-width`, `${width}px`);
  }
  if (kept("kmes-inspector") === "open") root.dataset.inspector = "open";
})();
