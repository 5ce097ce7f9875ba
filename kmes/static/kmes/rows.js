// Rows that stand for an object: Enter or double-click opens it, arrows move between them.

function open(row) {
  location.href = row.dataset.open;
}

document.addEventListener("dblclick", (event) => {
  const row = event.target.closest("[data-open]");
  if (row && !event.target.closest("a, button, input, select")) open(row);
});

document.addEventListener("keydown", (event) => {
  const row = event.target.closest("tr[data-open], tr[data-menu]");
  if (!row || event.target !== row) return;
  if (event.key === "Enter" && row.dataset.open) open(row);
  else if (event.key === "ArrowDown" && !event.shiftKey) row.nextElementSibling?.focus();
  else if (event.key === "ArrowUp" && !event.shiftKey) row.previousElementSibling?.focus();
  else return;
  event.preventDefault();
});
