"""What may be believed of an answer: the one place where a raw answer is judged.

An answer counts only when it is a whole answer of the service that was asked, in that service's own format
(docs/azure.md#errors). Anything else, such as a proxy's page, a cut body or an unexpected status, says nothing about the
vault: ``UnknownAnswer``. What the client library gets to see has passed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import AzureError as SdkError
from django.utils.translation import gettext as _

from cloudcreds.azure import challenges, json_documents, vault_documents
from cloudcreds.azure.retry_after import read_retry_after
from cloudcreds.azure.vault_documents import Asked, host_of


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


class StoppedUnsent(NotSent):
    """The job was to stop before the request left."""


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
    """Where a credential signs in.

    Attributes:
        hosts: the hosts that may be asked (host:port).
        tenant_id: its tenant's id; "" if not known.
        vault_resource: what tokens for a vault are for; a vault's challenge may ask for no other.

    """

    hosts: frozenset[str]
    tenant_id: str
    vault_resource: str


# Those that name another address (RFC 9110, 15.4).
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def judge(service: AskedService, answer: Answer, place: SignInPlace) -> None:
    """Let an answer pass that the service itself gave.

    Raises:
        UnknownAnswer: it is none.
        WrongChallenge: the vault asks for another tenant's sign-in.

    """
    if answer.status in _REDIRECTS:
        raise RedirectedAnswer(
            service, _("The answer pointed to another address, which is never followed."), status=answer.status
        )
    if 300 <= answer.status < 400:
        raise _unknown(
            service, answer, _("The answer did not come from the service: HTTP %(status)d.") % {"status": answer.status}
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
        service,
        why,
        status=answer.status,
        retry_after=read_retry_after(answer.headers.get("retry-after", ""), answer.headers.get("date", "")),
    )


def _document(service: AskedService, answer: Answer) -> dict[str, Any]:
    """Return the answer's JSON object.

    Raises:
        UnknownAnswer: it holds none.

    """
    kind, _separator, parameters = answer.headers.get("content-type", "").lower().partition(";")
    kind = kind.strip()
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
    found = json_documents.read_object(answer.body, parameters)
    if found is None:
        raise _unknown(service, answer, _("The answer can't be read (HTTP %(status)d).") % {"status": answer.status})
    return found


def _kind_in_words(kind: str) -> str:
    return kind if re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", kind) else _("no content type")


# --- Key Vault -------------------------------------------------------------------------------
_NAME = r"(?P<name>[0-9a-zA-Z-]+)"
_VERSION = r"(?P<version>[0-9a-zA-Z]+)"
# Method, path, status of success, and what the document must be; None where there is none.
_IsWanted = Callable[[dict[str, Any], Asked], bool]
_ROWS: tuple[tuple[str, str, int, _IsWanted | None], ...] = (
    ("GET", r"/keys", 200, vault_documents.is_list_of_keys),
    ("GET", rf"/keys/{_NAME}/versions", 200, vault_documents.is_list_of_versions),
    ("GET", rf"/deletedkeys/{_NAME}", 200, vault_documents.is_deleted_key),
    ("POST", rf"/deletedkeys/{_NAME}/recover", 200, vault_documents.is_key),
    ("DELETE", rf"/deletedkeys/{_NAME}", 204, None),
    ("GET", rf"/keys/{_NAME}/rotationpolicy", 200, vault_documents.is_rotation_policy),
    ("PUT", rf"/keys/{_NAME}/rotationpolicy", 200, vault_documents.is_rotation_policy),
    ("POST", rf"/keys/{_NAME}/create", 200, vault_documents.is_key),
    ("POST", rf"/keys/{_NAME}(?:/{_VERSION})?/sign", 200, vault_documents.is_signature),
    ("GET", rf"/keys/{_NAME}(?:/{_VERSION})?", 200, vault_documents.is_key),
    ("PUT", rf"/keys/{_NAME}", 200, vault_documents.is_key),
    ("PATCH", rf"/keys/{_NAME}(?:/{_VERSION})?", 200, vault_documents.is_key),
    ("DELETE", rf"/keys/{_NAME}", 200, vault_documents.is_deletion),
)
_SUCCESSES = tuple((method, re.compile(f"{path}/?"), status, is_wanted) for method, path, status, is_wanted in _ROWS)
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
    for method, path, status, is_wanted in _SUCCESSES:
        match = path.fullmatch(answer.path) if method == answer.method else None
        if match is None:
            continue
        if answer.status != status:
            break
        if is_wanted is None:
            # A body is never part of a 204 (RFC 9110, 15.3.5), so whoever announces one is not the vault.
            if answer.body or answer.headers.get("content-length", "0") != "0":
                break
            return
        named = {name: text or "" for name, text in match.groupdict().items()}
        if not is_wanted(_document(service, answer), Asked(host_of(answer.url), answer.path, **named)):
            raise _unknown(service, answer, _("The answer is not about what the vault was asked."))
        return
    raise _unknown(
        service, answer, _("The vault gave an unexpected answer (HTTP %(status)d).") % {"status": answer.status}
    )


def _judge_challenge(answer: Answer, place: SignInPlace) -> None:
    """Refuse a challenge that names no sign-in of this credential (docs/azure.md#sign-in)."""
    found = challenges.read_challenge(answer.headers.get("www-authenticate", ""))
    if found is None:
        raise _unknown(AskedService.VAULT, answer, _("The vault's answer asks for no sign-in that is known."))
    if found.tenant and place.tenant_id and found.tenant.lower() != place.tenant_id.lower():
        what = _("The vault asks for a sign-in at another tenant (%(tenant)s).") % {"tenant": _plain(found.tenant)}
        raise WrongChallenge(what, found.tenant)
    # A token for anything else would open more than the vault to its host.
    if any(each != place.vault_resource for each in found.resources):
        raise _unknown(AskedService.VAULT, answer, _("The vault asks for a token that is not for vaults."))


def _plain(text: str) -> str:
    """Return foreign text as it may stand in a log row: one short line."""
    return re.sub(r"[^0-9A-Za-z._:-]", "", text)[:64]


# --- Entra -----------------------------------------------------------------------------------
_ENTRA_CODE = re.compile(r"AADSTS[0-9]+")
# What passes by itself: by its word in OAuth (RFC 6749, 4.1.2.1), or by Entra's code (docs/azure.md#errors).
_PASSING_ERRORS = frozenset({"temporarily_unavailable", "server_error"})
_PASSING_CODES = frozenset(f"AADSTS{number}" for number in (40010, 50196, 90006, 90012, 90024, 90033, 90055))
# What a header may carry.
_TOKEN = re.compile(r"[\x21-\x7e]+")


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
        # A gateway's error in JSON names no code of Entra's.
        code = _ENTRA_CODE.search(str(document.get("error_description", "")))
        if isinstance(document.get("error"), str) and code is not None:
            if document["error"] in _PASSING_ERRORS or code.group() in _PASSING_CODES:
                what = _("Entra could not sign in now (%(code)s).") % {"code": code.group()}
                raise _unknown(service, answer, what)
            return
    elif answer.method == "POST":
        if _is_entra_token(document):
            return
    elif _is_discovery(document, place):
        return
    raise _unknown(
        service, answer, _("The answer is not in Entra's own words (HTTP %(status)d).") % {"status": answer.status}
    )


def _is_entra_token(document: dict[str, Any]) -> bool:
    """Return whether a document is a token that a request can carry, with a life that the SDK can read."""
    token, kind = document.get("access_token"), document.get("token_type", "Bearer")
    is_sound = isinstance(token, str) and _TOKEN.fullmatch(token) is not None
    lives = [document.get(member) for member in ("expires_in", "ext_expires_in", "refresh_in")]
    return (
        is_sound
        and isinstance(kind, str)
        and kind.lower() == "bearer"
        and lives[0] is not None
        and all(life is None or re.fullmatch(r"[0-9]{1,7}", str(life)) for life in lives)
        # Nobody signs in as a user here; what the SDK would read of one is not of Entra.
        and not any(document.get(member) for member in ("id_token", "client_info", "refresh_token", "error"))
        and isinstance(document.get("scope", ""), str)
    )


def _is_discovery(document: dict[str, Any], place: SignInPlace) -> bool:
    """Return whether the addresses that a discovery names are ones this credential may sign in at, in its tenant."""
    named = [document.get(member) for member in ("token_endpoint", "authorization_endpoint")]
    if not all(isinstance(url, str) and host_of(url) in place.hosts for url in named):
        return False
    tenants = {challenges.tenant_in(str(url)).lower() for url in named}
    return isinstance(document.get("issuer"), str) and (not place.tenant_id or tenants == {place.tenant_id.lower()})


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
    is_sound = isinstance(token, str) and _TOKEN.fullmatch(token) is not None
    return is_sound and re.fullmatch(r"[0-9]{1,12}", expires_on) is not None


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
