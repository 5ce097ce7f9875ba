// Buttons with data-copy put that text on the clipboard and say so.

function fallback(text, button) {
  // Plain http on another host has no clipboard API. Beside the button, because all else is inert
  // while a dialog is open.
  const area = document.createElement("textarea");
  area.value = text;
  button.after(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  button.focus();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    fallback(button.dataset.copy, button);
  }
  const announcer = document.getElementById("announcer");
  if (announcer) announcer.textContent = announcer.dataset.copied;
  button.classList.add("is-copied");
  setTimeout(() => button.classList.remove("is-copied"), 1500);
});
