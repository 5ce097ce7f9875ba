// The one dialog: links with data-dialog open in it. Without script they are pages.
import { load, loadByPost } from "./htmx.js";

const dialog = () => document.getElementById("dialog");
let opener = null;
let touched = false;

// With ``values`` the page is asked for by POST, because what it is about is too long for an address.
export async function openDialog(url, from, values = null) {
  const box = dialog();
  const content = document.getElementById("dialog-content");
  // The palette has done its part; its closing gives the focus back to who opened it.
  const other = from?.closest("dialog:not(#dialog)");
  if (other) {
    other.close();
    from = document.activeElement;
  }
  // A link inside the dialog shows the next step; the focus still goes back to who opened the first.
  if (!box.open) opener = from && document.contains(from) ? from : null;
  touched = false;
  let isShown = box.open;
  const waiting = setTimeout(() => {
    showWaiting(box, content);
    isShown = true;
  }, WAIT_MS);
  try {
    await (values ? loadByPost(url, content, values) : load(url, content));
  } catch {
    // The server can't be reached; the banner says so and the page stays as it is.
    if (isWaiting(content)) box.close();
    return;
  } finally {
    clearTimeout(waiting);
  }
  if (isShown && !box.open) {
    // Who closed it while it was on its way doesn't want it any more.
    content.replaceChildren();
    return;
  }
  if (!content.firstElementChild || isWaiting(content)) return;
  if (!box.open) box.showModal();
  focusFirst(box);
}

// What takes longer than one notices shows that it is under way.
const WAIT_MS = 200;

function showWaiting(box, content) {
  if (box.open) return;
  content.replaceChildren(document.getElementById("skeleton").content.cloneNode(true));
  box.showModal();
}

function isWaiting(content) {
  return Boolean(content.querySelector("[data-waiting]"));
}

function focusFirst(box) {
  const places = [
    ".is-invalid",
    "[autofocus]",
    ".dialog-body :is(input, select, textarea):not([type=hidden])",
    ".form-actions .btn",
    "[data-dialog-close]",
  ];
  for (const place of places) {
    const found = box.querySelector(place);
    if (found) {
      found.focus();
      return;
    }
  }
}

export function closeDialog() {
  const box = dialog();
  if (!box?.open) return;
  if (touched && !window.confirm(box.dataset.discard || "Discard what you typed?")) return;
  box.close();
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-dialog-close]") && dialog()?.open) {
    event.preventDefault();
    closeDialog();
    return;
  }
  const link = event.target.closest("a[data-dialog]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  openDialog(link.href, link);
});

document.addEventListener("input", (event) => {
  if (event.target.closest("#dialog-content form")) touched = true;
});
document.addEventListener("submit", (event) => {
  if (event.target.closest("#dialog-content")) touched = false;
}, true);

dialog()?.addEventListener("cancel", (event) => {
  event.preventDefault();
  closeDialog();
});
dialog()?.addEventListener("close", () => {
  document.getElementById("dialog-content").replaceChildren();
  if (opener && document.contains(opener)) opener.focus();
  opener = null;
});
