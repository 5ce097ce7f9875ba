// Rows that stand for an object: Enter or double-click opens it, arrows move between them.

function open(row) {
  location.href = row.dataset.open;
}

document.addEventListener("dblclick", (event) => {
  const row = event.target.closest("[data-open]");
  if (row && !event.target.closest("a, button, input, select")) open(row);
});

// A row of one line that cuts its text shows it whole by a click or Space, and cuts it again.
document.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-whole]");
  if (!row || event.target.closest("a, button, input, select") || !getSelection().isCollapsed) return;
  row.classList.toggle("is-whole");
});

// Until then the pointer finds the whole text in the title.
document.addEventListener("pointerover", (event) => {
  const cell = event.target.closest("tr[data-whole] > td, .job-progress");
  if (cell && cell.scrollWidth > cell.clientWidth) cell.title = cell.textContent.trim();
});

document.addEventListener("keydown", (event) => {
  const row = event.target.closest("tr[data-open], tr[data-menu]");
  if (!row || event.target !== row) return;
  if (event.key === " " && !event.ctrlKey && !event.metaKey && "whole" in row.dataset) {
    row.classList.toggle("is-whole");
    event.preventDefault();
    return;
  }
  if (event.key === "Enter" && row.dataset.open) open(row);
  else if (event.key === "ArrowDown" && !event.shiftKey) row.nextElementSibling?.focus();
  else if (event.key === "ArrowUp" && !event.shiftKey) row.previousElementSibling?.focus();
  else return;
  event.preventDefault();
});
