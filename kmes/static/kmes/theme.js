// Sets the colours before the first paint: the user's choice, else the system's. Loaded without defer.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem("kmes-theme");
    root.dataset.bsTheme = chosen || (system.matches ? "dark" : "light");
  };
  root.classList.add("has-script");
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    // Three states in turn: the opposite of what is seen, then back to the system's.
    if (localStorage.getItem("kmes-theme")) localStorage.removeItem("kmes-theme");
    else localStorage.setItem("kmes-theme", root.dataset.bsTheme === "dark" ? "light" : "dark");
    apply();
  });
})();
