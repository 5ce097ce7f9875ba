// Moments that are waited for, as minutes and seconds that count down. Fragments bring the moment, not the rest of the wait.

function show(element) {
  const seconds = Math.ceil((Date.parse(element.dataset.countdown) - Date.now()) / 1000);
  const rest = String(Math.max(0, seconds) % 60).padStart(2, "0");
  element.textContent = seconds > 0 ? `${Math.floor(seconds / 60)}:${rest}` : element.dataset.over;
}

function showAll() {
  document.querySelectorAll("[data-countdown]").forEach(show);
}

setInterval(showAll, 1000);
document.addEventListener("console:changed", showAll);
showAll();
