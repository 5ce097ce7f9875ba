// Days of the rotation calendar: a click lists one; Shift and a click (or Enter), or dragging, lists those between.
const DAYS = ".picture-calendar a";
// The day from which the days between are counted: that of the last plain choice, else that of the address.
let first = new URLSearchParams(location.search).get("day") || "";
let dragged = null;

const dayOf = (link) => new URL(link.href.baseVal, location.href).searchParams.get("day");
const dayAt = (event) => event.target.closest?.(DAYS);

function list(from, to) {
  const [day, until] = [from, to].sort();
  const query = new URLSearchParams(day === until ? { day } : { day, until });
  location.href = `${location.pathname}?${query}#day`;
}

document.addEventListener("click", (event) => {
  const link = dayAt(event);
  if (!link || event.button !== 0) return;
  if (event.shiftKey) {
    event.preventDefault();
    list(first || dayOf(link), dayOf(link));
  } else first = dayOf(link);
});

document.addEventListener("pointerdown", (event) => {
  dragged = event.button === 0 && event.pointerType === "mouse" && !event.shiftKey ? dayAt(event) : null;
});

// A browser would drag the link itself.
document.addEventListener("dragstart", (event) => {
  if (dayAt(event)) event.preventDefault();
});

document.addEventListener("pointerup", (event) => {
  const [from, to] = [dragged, dayAt(event)];
  dragged = null;
  if (from && to && from !== to) list(dayOf(from), dayOf(to));
});

// Arrows move from day to day; the picture has a column for each week.
document.addEventListener("keydown", (event) => {
  const link = dayAt(event);
  const by = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -7, ArrowRight: 7 }[event.key];
  if (!link || !by || event.ctrlKey || event.metaKey || event.altKey) return;
  const links = [...document.querySelectorAll(DAYS)];
  const next = links[links.indexOf(link) + by];
  event.preventDefault();
  next?.focus();
});
