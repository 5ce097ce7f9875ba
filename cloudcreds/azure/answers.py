"""What may be believed of an answer: the one place where a raw answer is judged.

An answer counts only when it is a whole answer of the service that was asked, in that service's own format
(docs/azure.md#errors). Anything else, such as a proxy's page, a cut body or an unexpected status, says nothing about the
vault: ``UnknownAnswer``. What the client library gets to see has passed here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeGuard
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import AzureError as SdkError
from django.utils.translation import gettext as _

from cloudcreds.azure.retry_after import read_retry_after


class AskedService(Enum):
    """Which service a request is for."""

    VAULT = "vault"
    SIGN_IN = "sign-in"
    RESOURCE_MANAGER = "resource manager"
    # The endpoint of the worker's own host that gives tokens to its managed identity.
    MANAGED_IDENTITY = "managed identity"


class TransportError(SdkError):
    """A request that ended in the transport. ``what`` says why, in words; no text of a library or proxy."""

    def __init__(self, service: AskedService, what: str) -> None:
        super().__init__(what)
        self.service, self.what = service, what


class NotSent(TransportError):
    """No byte of the request left this process, or no connection was made: it had no effect."""


class AddressRefused(NotSent):
    """The address is not one that this credential may be used with."""


class ProxyRefused(NotSent):
    """A proxy refused to connect to the service."""


class UnknownAnswer(TransportError):
    """The request left, and no answer came that can be believed: whether it took effect is unknown."""

    def __init__(
        self, service: AskedService, what: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(service, what)
        self.status, self.retry_after = status, retry_after


class Stopped(UnknownAnswer):
    """The job was to stop while the request was under way."""


class RedirectedAnswer(UnknownAnswer):
    """The answer points to another address, which is never followed."""


class WrongChallenge(TransportError):
    """The vault asks for a sign-in at another tenant or address. Nothing was done; asking again may help."""

    def __init__(self, what: str, tenant: str) -> None:
        super().__init__(AskedService.VAULT, what)
        self.tenant = tenant


@dataclass(frozen=True)
class Answer:
    """A raw answer. Names of headers are in lower case."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The decoded path of the request."""
        return unquote(urlsplit(self.url).path)


@dataclass(frozen=True)
class SignInPlace:
    """Where a credential signs in: hosts that may be asked (host:port), and its tenant's id ("" if not known)."""

    hosts: frozenset[str]
    tenant_id: str


def judge(service: AskedService, answer: Answer, place: SignInPlace) -> None:
    """Let an answer pass that the service itself gave.

    Raises:
        UnknownAnswer: it is none.
        WrongChallenge: the vault asks for another tenant's sign-in.

    """
    if 300 <= answer.status < 400:
        raise RedirectedAnswer(
            service, _("The answer pointed to another address, which is never followed."), status=answer.status
        )
    if service is AskedService.VAULT:
        _judge_vault(answer, place)
    elif service is AskedService.SIGN_IN:
        _judge_sign_in(answer, place)
    elif service is AskedService.MANAGED_IDENTITY:
        _judge_managed_identity(answer)
    else:
        _judge_resource_manager(answer)


def _unknown(service: AskedService, answer: Answer, why: str) -> UnknownAnswer:
    return UnknownAnswer(
        service, why, status=answer.status, retry_after=read_retry_after(answer.headers.get("retry-after", ""))
    )


def _document(service: AskedService, answer: Answer) -> dict[str, Any]:
    """Return the answer's JSON object.

    Raises:
        UnknownAnswer: it holds none.

    """
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/html":
        what = _("A web page came instead of an answer (HTTP %(status)d): a proxy stands in between.")
        raise _unknown(service, answer, what % {"status": answer.status})
    if kind not in {"application/json", "text/json"}:
        raise _unknown(
            service,
            answer,
            _("The answer is not one of the service: HTTP %(status)d with %(kind)s.")
            % {"status": answer.status, "kind": _kind_in_words(kind)},
        )
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _unknown(service, answer, _("The answer can't be read (HTTP %(status)d).") % {"status": answer.status})
    return found


def _kind_in_words(kind: str) -> str:
    return kind if re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", kind) else _("no content type")


# --- Key Vault -------------------------------------------------------------------------------
_NAME = r"(?P<name>[0-9a-zA-Z-]+)"
_VERSION = r"[0-9a-zA-Z]+"
# As long as names and versions can be (docs/azure.md#keys-api); other characters stand nowhere in an id.
_KEY_ID = re.compile(
    r"https://[0-9a-zA-Z.:\[\]-]{1,255}/keys/[0-9a-zA-Z-]{1,127}(?:/[0-9a-zA-Z]{1,64})?", re.IGNORECASE
)
# Method, path, status of success, members the document must have: "key" (a bundle of the key asked about),
# "value" (rows), "result" (a signature), "" (no document).
_SUCCESSES: tuple[tuple[str, str, int, str], ...] = (
    ("GET", r"/keys", 200, "value"),
    ("GET", rf"/keys/{_NAME}/versions", 200, "value"),
    ("GET", r"/deletedkeys", 200, "value"),
    ("GET", rf"/deletedkeys/{_NAME}", 200, "key"),
    ("POST", rf"/deletedkeys/{_NAME}/recover", 200, "key"),
    ("DELETE", rf"/deletedkeys/{_NAME}", 204, ""),
    ("GET", rf"/keys/{_NAME}/rotationpolicy", 200, "policy"),
    ("PUT", rf"/keys/{_NAME}/rotationpolicy", 200, "policy"),
    ("POST", rf"/keys/{_NAME}/create", 200, "key"),
    ("POST", rf"/keys/{_NAME}(?:/{_VERSION})?/sign", 200, "result"),
    ("GET", rf"/keys/{_NAME}(?:/{_VERSION})?", 200, "key"),
    ("PUT", rf"/keys/{_NAME}", 200, "key"),
    ("PATCH", rf"/keys/{_NAME}(?:/{_VERSION})?", 200, "key"),
    ("DELETE", rf"/keys/{_NAME}", 200, "key"),
)
# The codes that Key Vault uses with each status for calls about keys.
_VAULT_CODES: dict[int, frozenset[str]] = {
    400: frozenset({"BadParameter", "Malformed backup blob"}),
    401: frozenset({"Unauthorized"}),
    403: frozenset({"Forbidden"}),
    404: frozenset({"KeyNotFound"}),
    409: frozenset({"Conflict"}),
    429: frozenset({"Throttled"}),
}


def _judge_vault(answer: Answer, place: SignInPlace) -> None:
    service = AskedService.VAULT
    if answer.status < 300:
        _judge_vault_success(answer)
        return
    codes = _VAULT_CODES.get(answer.status)
    if codes is None:
        raise _unknown(
            service,
            answer,
            _("The vault answered with an error of its own (HTTP %(status)d).") % {"status": answer.status},
        )
    error = _document(service, answer).get("error")
    if not isinstance(error, dict) or error.get("code") not in codes or not isinstance(error.get("message"), str):
        raise _unknown(
            service,
            answer,
            _("The answer is not in Key Vault's own words (HTTP %(status)d).") % {"status": answer.status},
        )
    if answer.status == 401:
        _judge_challenge(answer, place)


def _judge_vault_success(answer: Answer) -> None:
    service = AskedService.VAULT
    for method, path, status, wanted in _SUCCESSES:
        match = re.fullmatch(path + "/?", answer.path) if method == answer.method else None
        if match is None:
            continue
        if answer.status != status:
            break
        if not wanted:
            # A body is never part of a 204 (RFC 9110, 15.3.5), so whoever announces one is not the vault.
            if answer.body or answer.headers.get("content-length", "0") != "0":
                break
            return
        document = _document(service, answer)
        if not _holds(document, wanted, match.groupdict().get("name", ""), host_of(answer.url)):
            raise _unknown(service, answer, _("The answer is not about what the vault was asked."))
        return
    raise _unknown(
        service, answer, _("The vault gave an unexpected answer (HTTP %(status)d).") % {"status": answer.status}
    )


def _holds(document: dict[str, Any], wanted: str, name: str, host: str) -> bool:
    """Return whether a document has the members it must have, and is about a key of that name in the vault asked."""
    if wanted == "value":
        rows = document.get("value")
        return isinstance(rows, list) and all(
            isinstance(row, dict) and _is_key_id(row.get("kid"), host) for row in rows
        )
    if wanted == "result":
        return isinstance(document.get("value"), str) and bool(document["value"])
    if wanted == "policy":
        return isinstance(document.get("lifetimeActions"), list)
    key, attributes = document.get("key"), document.get("attributes")
    if not isinstance(key, dict) or not isinstance(attributes, dict):
        return False
    kid = key.get("kid")
    if not _is_key_id(kid, host) or not isinstance(key.get("kty"), str):
        return False
    return _name_in(kid).lower() == name.lower()


def _is_key_id(kid: object, host: str) -> TypeGuard[str]:
    """Return whether this is the id of a key, or of a version, in the vault asked. A row keeps it as it is."""
    return isinstance(kid, str) and host_of(kid) == host and _KEY_ID.fullmatch(kid) is not None


def _name_in(kid: str) -> str:
    parts = urlsplit(kid).path.split("/")
    return parts[2] if len(parts) > 3 and parts[1] == "keys" else ""


def _judge_challenge(answer: Answer, place: SignInPlace) -> None:
    """Refuse a challenge that names no sign-in of this credential (docs/azure.md#sign-in)."""
    text = answer.headers.get("www-authenticate", "")
    found = re.search(r"authorization(?:_uri)?=\"([^\"]+)\"", text)
    if not text.lower().startswith("bearer ") or found is None or "\n" in text:
        raise _unknown(AskedService.VAULT, answer, _("The vault's answer asks for no sign-in that is known."))
    parts = urlsplit(found.group(1))
    tenant = parts.path.strip("/").partition("/")[0]
    if place.tenant_id and tenant.lower() != place.tenant_id.lower():
        raise WrongChallenge(
            _("The vault asks for a sign-in at another tenant (%(tenant)s).") % {"tenant": _plain(tenant)}, tenant
        )


def _plain(text: str) -> str:
    """Return foreign text as it may stand in a log row: one short line."""
    return re.sub(r"[^0-9A-Za-z._:-]", "", text)[:64]


# --- Entra -----------------------------------------------------------------------------------
def _judge_sign_in(answer: Answer, place: SignInPlace) -> None:
    service = AskedService.SIGN_IN
    if answer.status in {403, 407, 511}:
        what = _("A proxy refused the sign-in (HTTP %(status)d).") % {"status": answer.status}
        raise _unknown(service, answer, what)
    if answer.status not in {200, 400, 401}:
        what = _("Entra answered with an error of its own (HTTP %(status)d).") % {"status": answer.status}
        raise _unknown(service, answer, what)
    document = _document(service, answer)
    if answer.status != 200:
        if isinstance(document.get("error"), str):
            return
    elif answer.method == "POST":
        if isinstance(document.get("access_token"), str) and document["access_token"]:
            return
    elif _is_discovery(document, place):
        return
    raise _unknown(
        service, answer, _("The answer is not in Entra's own words (HTTP %(status)d).") % {"status": answer.status}
    )


def _is_discovery(document: dict[str, Any], place: SignInPlace) -> bool:
    """Return whether the addresses that a discovery names are ones this credential may sign in at."""
    named = [document.get(member) for member in ("token_endpoint", "authorization_endpoint")]
    return all(isinstance(url, str) and host_of(url) in place.hosts for url in named)


def _judge_managed_identity(answer: Answer) -> None:
    """Let tokens and refusals of the identity pass; every other status passes by itself (docs/azure.md#ways-to-sign-in)."""
    service = AskedService.MANAGED_IDENTITY
    if answer.status not in {200, 400}:
        what = _("The managed identity endpoint of the host gives no token now (HTTP %(status)d).")
        raise _unknown(service, answer, what % {"status": answer.status})
    document = _document(service, answer)
    if answer.status == 400:
        # The metadata service names an error, App Service a message.
        if isinstance(document.get("error"), str) or isinstance(document.get("message"), str):
            return
    elif _is_token(document):
        return
    raise _unknown(service, answer, _("The answer is not one of a managed identity endpoint."))


def _is_token(document: dict[str, Any]) -> bool:
    token, expires_on = document.get("access_token"), str(document.get("expires_on", ""))
    return isinstance(token, str) and bool(token) and re.fullmatch(r"[0-9]{1,12}", expires_on) is not None


def host_of(url: str) -> str:
    """Return ``host:port`` of an https address, in lower case; "" for anything else, such as one with a user name."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        return ""
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        return ""
    return f"{parts.hostname.lower()}:{port}"


# --- Resource Manager ------------------------------------------------------------------------
def _judge_resource_manager(answer: Answer) -> None:
    service = AskedService.RESOURCE_MANAGER
    if answer.status >= 500 or answer.status == 408:
        what = _("Resource Manager answered with an error of its own (HTTP %(status)d).") % {"status": answer.status}
        raise _unknown(service, answer, what)
    document = _document(service, answer)
    if answer.status == 200:
        if isinstance(document.get("value"), list) or isinstance(document.get("id"), str):
            return
    elif answer.status >= 400:
        error = document.get("error")
        if isinstance(error, dict) and isinstance(error.get("code"), str):
            return
    raise _unknown(
        service,
        answer,
        _("The answer is not in Resource Manager's own words (HTTP %(status)d).") % {"status": answer.status},
    )
