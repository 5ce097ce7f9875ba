// The tree of groups and keys by the WAI-ARIA tree view pattern. The server sends nested lists of links,
// which work as they are; this file makes a tree of them, opens branches and moves the focus. The item is
// the line, not the list's entry around it, so that its name is its own text; it owns its branch.
import { enliven } from "./htmx.js";
import { extendTo, restore, selectShown, toggleItem } from "./selection.js";

const REMEMBERED = 30;
let typed = "";
let typedAt = 0;

const nodesIn = (tree) => [...tree.querySelectorAll("[role=treeitem]")];
const linkOf = (node) => node.querySelector(":scope > a");
const dataOf = (node) => node.parentElement.dataset;
const branchOf = (node) => node.parentElement.querySelector(":scope > ul");
const parentOf = (node) => node.parentElement.parentElement.closest("li")?.firstElementChild;
const isOpen = (node) => node.getAttribute("aria-expanded") === "true";
const isShown = (node) => !node.parentElement.parentElement.closest("[hidden]");

function levelOf(node) {
  let level = 1;
  for (let above = parentOf(node); above; above = parentOf(above)) level += 1;
  return level;
}

function dress(tree) {
  tree.setAttribute("role", "tree");
  for (const list of tree.querySelectorAll("ul")) list.setAttribute("role", "group");
  for (const entry of tree.querySelectorAll("li:not([role])")) {
    entry.setAttribute("role", "none");
    const node = entry.firstElementChild;
    node.setAttribute("role", "treeitem");
    node.tabIndex = -1;
    node.setAttribute("aria-labelledby", linkOf(node).id);
    node.setAttribute("aria-level", String(levelOf(node)));
    if (entry.dataset.branch) node.setAttribute("aria-expanded", String(Boolean(branchOf(node))));
    own(node);
  }
  mark(tree);
  if (!tree.querySelector("[role=treeitem][tabindex='0']")) {
    const first = tree.querySelector("[aria-selected=true]") || nodesIn(tree)[0];
    if (first) first.tabIndex = 0;
  }
  restore();
}

function own(node) {
  const list = branchOf(node);
  if (!list) return;
  list.id = `${linkOf(node).id}-branch`;
  node.setAttribute("aria-owns", list.id);
}

// Where the link is the current one, the node is the selected one. Only the node is a stop of the Tab key.
function mark(tree) {
  for (const node of nodesIn(tree)) {
    node.setAttribute("aria-selected", String(linkOf(node).getAttribute("aria-current") === "true"));
    for (const inner of node.querySelectorAll("a, input")) inner.tabIndex = -1;
  }
}

function focus(tree, node) {
  if (!node) return;
  for (const other of tree.querySelectorAll("[role=treeitem][tabindex='0']")) other.tabIndex = -1;
  node.tabIndex = 0;
  node.focus();
}

async function fetchBranch(url) {
  const answer = await fetch(url, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
  if (!answer.ok) throw new Error(String(answer.status));
  const list = document.createElement("ul");
  list.innerHTML = await answer.text();
  return list;
}

async function open(tree, node) {
  if (!dataOf(node).branch || isOpen(node)) return;
  node.setAttribute("aria-expanded", "true");
  if (branchOf(node)) branchOf(node).hidden = false;
  else {
    node.setAttribute("aria-busy", "true");
    try {
      const list = await fetchBranch(dataOf(node).branch);
      node.after(list);
      own(node);
      enliven(list);
      dress(tree);
    } catch {
      // Nothing came: the branch can be asked for again.
      node.setAttribute("aria-expanded", "false");
    }
    node.removeAttribute("aria-busy");
  }
  remember(tree);
}

function close(tree, node) {
  node.setAttribute("aria-expanded", "false");
  if (branchOf(node)) branchOf(node).hidden = true;
  remember(tree);
}

async function showMore(tree, node) {
  const list = await fetchBranch(dataOf(node).more).catch(() => null);
  if (!list) return;
  const [first] = list.children;
  node.parentElement.replaceWith(...list.children);
  enliven(tree);
  dress(tree);
  focus(tree, first.firstElementChild);
}

function remember(tree) {
  const opened = nodesIn(tree).filter(isOpen).map((node) => dataOf(node).node);
  try {
    sessionStorage.setItem(`kmes-tree-${tree.dataset.tree}`, JSON.stringify(opened.slice(0, REMEMBERED)));
  } catch { /* a browser that keeps nothing shows each tree closed */ }
}

async function reopen(tree) {
  let opened = [];
  try {
    opened = JSON.parse(sessionStorage.getItem(`kmes-tree-${tree.dataset.tree}`)) || [];
  } catch { /* as above */ }
  for (const name of opened) {
    const entry = tree.querySelector(`[data-node="${CSS.escape(name)}"]`);
    if (entry) await open(tree, entry.firstElementChild);
  }
}

function step(tree, node, by) {
  const shown = nodesIn(tree).filter(isShown);
  focus(tree, shown[shown.indexOf(node) + by]);
}

function typeAhead(tree, node, letter) {
  const now = performance.now();
  typed = now - typedAt > 700 ? letter : typed + letter;
  typedAt = now;
  const shown = nodesIn(tree).filter(isShown);
  const start = shown.indexOf(node) + (typed.length === 1 ? 1 : 0);
  const order = [...shown.slice(start), ...shown.slice(0, start)];
  focus(tree, order.find((each) => linkOf(each).textContent.trim().toLowerCase().startsWith(typed)));
}

function onKey(event, tree, node) {
  switch (event.key) {
    case "ArrowDown":
    case "ArrowUp":
      step(tree, node, event.key === "ArrowDown" ? 1 : -1);
      if (event.shiftKey) extendTo(node, document.activeElement);
      break;
    case "Home": focus(tree, nodesIn(tree)[0]); break;
    case "End": focus(tree, nodesIn(tree).filter(isShown).at(-1)); break;
    case "ArrowRight":
      if (!isOpen(node)) open(tree, node);
      else focus(tree, branchOf(node)?.querySelector("[role=treeitem]"));
      break;
    case "ArrowLeft":
      if (isOpen(node)) close(tree, node);
      else focus(tree, parentOf(node));
      break;
    case " ": if (!toggleItem(node)) linkOf(node).click(); break;
    case "Enter": linkOf(node).click(); break;
    default:
      if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey) && selectShown(node)) break;
      if (event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey) return;
      typeAhead(tree, node, event.key.toLowerCase());
  }
  event.preventDefault();
}

document.addEventListener("keydown", (event) => {
  const node = event.target;
  if (node instanceof Element && node.matches("[data-tree] [role=treeitem]")) {
    onKey(event, node.closest("[data-tree]"), node);
  }
});

document.addEventListener("click", (event) => {
  const node = event.target.closest("[data-tree] .tree-row");
  if (!node || event.button !== 0) return;
  const tree = node.closest("[data-tree]");
  if (event.target.closest("[data-twist]")) {
    if (isOpen(node)) close(tree, node);
    else open(tree, node);
  } else if (dataOf(node).more) {
    event.preventDefault();
    showMore(tree, node);
  } else if (event.target.closest(".tree-link") && !event.ctrlKey && !event.metaKey) {
    for (const link of tree.querySelectorAll("[aria-current]")) link.removeAttribute("aria-current");
    linkOf(node).setAttribute("aria-current", "true");
    mark(tree);
    focus(tree, node);
  }
});

for (const tree of document.querySelectorAll("[data-tree]")) {
  dress(tree);
  reopen(tree);
}
document.addEventListener("console:changed", () => {
  for (const tree of document.querySelectorAll("[data-tree]")) {
    // A search has put another tree in its place.
    if (tree.getAttribute("role") !== "tree") {
      dress(tree);
      reopen(tree);
    } else mark(tree);
  }
});
