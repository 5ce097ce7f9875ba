// Buttons with data-copy put that text on the clipboard and say so.

function fallback(text) {
  // Plain http on another host has no clipboard API.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    fallback(button.dataset.copy);
  }
  const announcer = document.getElementById("announcer");
  if (announcer) announcer.textContent = document.documentElement.lang.startsWith("en") ? "Copied" : "✓";
  button.classList.add("is-copied");
  setTimeout(() => button.classList.remove("is-copied"), 1500);
});
