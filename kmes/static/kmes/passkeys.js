// Passkeys: asks the server what to ask the browser for, puts the browser's answer into the form and sends it.
const BINARY = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];

function bytes(text) {
  return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
}

function text(buffer) {
  let plain = "";
  for (const byte of new Uint8Array(buffer)) plain += String.fromCharCode(byte);
  return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function readable(options) {
  const credentials = (listed) => listed?.map((each) => ({ ...each, id: bytes(each.id) }));
  return {
    ...options,
    challenge: bytes(options.challenge),
    ...(options.user && { user: { ...options.user, id: bytes(options.user.id) } }),
    ...(options.excludeCredentials && { excludeCredentials: credentials(options.excludeCredentials) }),
    ...(options.allowCredentials && { allowCredentials: credentials(options.allowCredentials) }),
  };
}

function sendable(credential) {
  const response = {};
  for (const name of BINARY) if (credential.response[name]) response[name] = text(credential.response[name]);
  const id = text(credential.rawId);
  return JSON.stringify({ id, rawId: id, type: credential.type, response, clientExtensionResults: {} });
}

async function optionsFrom(part, form) {
  // What the passkey is to sign is told by the form.
  const body = "fields" in part.dataset ? new FormData(form) : new FormData();
  body.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
  const answer = await fetch(part.dataset.passkey, { method: "POST", body, credentials: "same-origin", redirect: "manual" });
  const found = answer.headers.get("Content-Type")?.startsWith("application/json") ? await answer.json() : {};
  if (found.publicKey) return readable(found.publicKey);
  throw new Error(found.error || part.dataset.away);
}

function reason(part, error) {
  if (error.name === "InvalidStateError") return part.dataset.known;
  if (error instanceof DOMException) return part.dataset.cancelled;
  return error instanceof TypeError ? part.dataset.away : error.message;
}

async function use(part, form) {
  const refusal = part.querySelector("[role=alert]");
  const isNew = "new" in part.dataset;
  refusal.hidden = true;
  try {
    if (!window.PublicKeyCredential) throw new Error(part.dataset.unsupported);
    const publicKey = await optionsFrom(part, form);
    const credential = await (isNew ? navigator.credentials.create({ publicKey }) : navigator.credentials.get({ publicKey }));
    form.elements.passkey.value = sendable(credential);
    form.requestSubmit();
  } catch (error) {
    refusal.textContent = reason(part, error);
    refusal.hidden = false;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-passkey] button");
  const form = button?.form;
  if (!form || button.getAttribute("aria-disabled") === "true") return;
  const part = button.closest("[data-passkey]");
  // What has to be typed first is typed before a passkey is made.
  if ("new" in part.dataset && !form.reportValidity()) return;
  button.setAttribute("aria-disabled", "true");
  use(part, form).finally(() => button.removeAttribute("aria-disabled"));
});

// A click before this script runs would be lost, so pages bring the buttons disabled.
for (const button of document.querySelectorAll("[data-passkey] button")) button.disabled = false;
