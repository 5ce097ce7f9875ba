// A button with data-print prints the page it is on. Each printed page names console, page, user and time.
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) print();
});

const asText = (text) => JSON.stringify(text);

addEventListener("beforeprint", () => {
  const head = document.querySelector(".print-head");
  if (!head) return;
  head.querySelector("time").textContent = new Date().toISOString().slice(0, 16).replace("T", " ");
  const style = document.documentElement.style;
  style.setProperty("--k-printed-page", asText(document.title));
  style.setProperty("--k-printed", asText(head.textContent.trim().replace(/\s+/g, " ")));
});
