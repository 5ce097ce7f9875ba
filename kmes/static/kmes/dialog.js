// The one dialog: links with data-dialog open in it. Without script they are pages.
import { load } from "./htmx.js";

const dialog = () => document.getElementById("dialog");
let opener = null;
let touched = false;

export async function openDialog(url, from) {
  const box = dialog();
  opener = from && document.contains(from) ? from : opener;
  touched = false;
  await load(url, document.getElementById("dialog-content"));
  if (!box.open) box.showModal();
  const first = box.querySelector(".is-invalid, [autofocus], .dialog-body input:not([type=hidden]), .dialog-body select, .dialog-body textarea, .form-actions .btn");
  first?.focus();
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
