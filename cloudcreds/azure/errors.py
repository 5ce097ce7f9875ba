"""The one mapping from the SDK's errors to neutral ones: kind, and what is known of the effect.

The answers of Key Vault and Entra are described in docs/azure.md#errors; the texts stand in ``error_texts``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from azure.core.exceptions import (
    AzureError as SdkError,
)
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
)
from django.utils.translation import gettext as _

from cloudcreds.azure import error_texts
from cloudcreds.azure.answers import (
    AddressRefused,
    AskedService,
    NotSent,
    ProxyRefused,
    RedirectedAnswer,
    Stopped,
    StoppedUnsent,
    TransportError,
    WrongChallenge,
)
from cloudcreds.azure.error_texts import Text
from cloudcreds.azure.retry_after import read_retry_after
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from kmes.core.known_secrets import mask

# Entra's codes, by their number.
_SIGN_IN_KINDS = {
    "7000215": CloudErrorKind.WRONG_SECRET,
    "7000222": CloudErrorKind.EXPIRED_SECRET,
    "700016": CloudErrorKind.WRONG_CLIENT,
    "90002": CloudErrorKind.WRONG_TENANT,
    "900023": CloudErrorKind.WRONG_TENANT,
    "700027": CloudErrorKind.WRONG_CERTIFICATE,
    "1000502": CloudErrorKind.WRONG_CERTIFICATE,
    "7000214": CloudErrorKind.WRONG_CERTIFICATE,
    "700211": CloudErrorKind.FEDERATION_REFUSED,
    "700212": CloudErrorKind.FEDERATION_REFUSED,
    "700213": CloudErrorKind.FEDERATION_REFUSED,
    "7000112": CloudErrorKind.WRONG_CLIENT,
    "7000229": CloudErrorKind.WRONG_CLIENT,
    "53003": CloudErrorKind.AUTHENTICATION,
    "500011": CloudErrorKind.AUTHENTICATION,
    "700024": CloudErrorKind.CLOCK_DIFFERS,
    "500133": CloudErrorKind.CLOCK_DIFFERS,
}
# Codes for a token of another audience, or of another tenant: Key Vault's and Resource Manager's (docs/azure.md#errors).
_FOREIGN_TOKENS = frozenset(
    {"AKV10022", "AKV10032", "InvalidAuthenticationTokenAudience", "InvalidAuthenticationTokenTenant"}
)
# Data actions of roles, as the permissions of access policies are called.
_PERMISSION_OF_ACTION = {
    "read": "get/list",
    "update": "update",
    "create": "create",
    "import": "import",
    "delete": "delete",
}


def translate(error: SdkError, *, mutating: bool, permission: str = "", subject: str = "") -> CloudError:
    """Turn an SDK error into a neutral one.

    Args:
        error: what the SDK raised.
        mutating: whether the call changes the vault; then a lost answer means an unknown outcome.
        permission: the key permission the call needs, named when Azure doesn't.
        subject: the key or vault the call was about.

    """
    ended = find_transport_error(error)
    if ended is not None:
        return _without_answer(ended, mutating=mutating, subject=subject or "Azure")
    # Resource Manager's client has no error of its own for 401.
    if isinstance(error, ClientAuthenticationError) or getattr(error, "status_code", None) == 401:
        return _authentication(error)
    # With any other status, the SDK could not read what it let pass.
    if isinstance(error, HttpResponseError) and (error.status_code or 0) >= 400:
        return _answer(error, permission=permission, subject=subject)
    # The SDK could not use an answer that is in the service's own format.
    return _unbelievable(_("the answer can't be used."), mutating=mutating, subject=subject or "Azure")


def find_transport_error(error: BaseException) -> TransportError | None:
    """Return the transport's error that the SDK wrapped, however its layers did; None when there is none."""
    queue: list[Any] = [error]
    seen: list[BaseException] = []
    while queue:
        one = queue.pop(0)
        if isinstance(one, TransportError):
            return one
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            queue += [getattr(one, "inner_exception", None), one.__cause__, one.__context__, *one.args]
    return None


def detach(error: BaseException, outside: BaseException | None) -> None:
    """Part an error from the one that was being handled when its call began, such as the reason of a clean-up.

    Python makes that one the context of each error that follows; it is no cause of it.
    """
    queue: list[BaseException | None] = [error]
    seen: list[BaseException] = []
    while outside is not None and queue:
        one = queue.pop()
        if one is None or one in seen:
            continue
        seen.append(one)
        if one.__context__ is outside:
            one.__context__ = None
        queue += [one.__cause__, one.__context__, getattr(one, "inner_exception", None)]


def _without_answer(error: TransportError, *, mutating: bool, subject: str) -> CloudError:
    if isinstance(error, WrongChallenge):
        return CloudError(CloudErrorKind.WRONG_TENANT, *error_texts.other_tenant(error.what))
    is_stopped = isinstance(error, (Stopped, StoppedUnsent))
    if isinstance(error, NotSent) and error.service is AskedService.MANAGED_IDENTITY and not is_stopped:
        return CloudError(CloudErrorKind.SIGN_IN_UNAVAILABLE, *error_texts.host_without_identities(error.what))
    if isinstance(error, NotSent):
        kind, text = _NOT_SENT.get(type(error), (CloudErrorKind.UNREACHABLE, error_texts.not_sent))
        return CloudError(kind, *text(error.what))
    status, wait = getattr(error, "status", None), getattr(error, "retry_after", None)
    if error.service in {AskedService.SIGN_IN, AskedService.MANAGED_IDENTITY}:
        # The call to the vault had not been sent yet.
        kind = CloudErrorKind.STOPPED if is_stopped else CloudErrorKind.SIGN_IN_UNAVAILABLE
        return CloudError(kind, *error_texts.sign_in_unavailable(error.what), http_status=status, retry_after=wait)
    kind = CloudErrorKind.STOPPED if is_stopped else CloudErrorKind.UNREACHABLE
    if isinstance(error, RedirectedAnswer):
        kind = CloudErrorKind.REDIRECT_REFUSED
    elif status is not None and status >= 500:
        kind = CloudErrorKind.SERVER_ERROR
    return _unbelievable(error.what, mutating=mutating, subject=subject, kind=kind, status=status, retry_after=wait)


_NOT_SENT: dict[type[NotSent], tuple[CloudErrorKind, Callable[[str], Text]]] = {
    AddressRefused: (CloudErrorKind.ADDRESS_REFUSED, error_texts.address_refused),
    ProxyRefused: (CloudErrorKind.PROXY_REFUSED, error_texts.proxy_refused),
    StoppedUnsent: (CloudErrorKind.STOPPED, error_texts.not_sent),
}


def _unbelievable(
    why: str,
    *,
    mutating: bool,
    subject: str,
    kind: CloudErrorKind = CloudErrorKind.UNREACHABLE,
    status: int | None = None,
    retry_after: float | None = None,
) -> CloudError:
    """Return the error about an answer that says nothing of the vault."""
    if mutating:
        text = error_texts.change_without_answer(subject, why)
        return CloudError(CloudErrorKind.UNKNOWN_OUTCOME, *text, http_status=status)
    text = error_texts.read_without_answer(subject, why)
    return CloudError(kind, *text, http_status=status, retry_after=retry_after)


def _authentication(error: Any) -> CloudError:
    text = str(error.message or error)
    codes = re.findall(r"AADSTS(\d+)", text)
    for code in codes:
        if code in _SIGN_IN_KINDS:
            return CloudError(_SIGN_IN_KINDS[code], *error_texts.sign_in_refused(code), http_status=error.status_code)
    # MSAL's own error hides the one about an unknown tenant (docs/azure.md#errors).
    if "authority configuration" in text:
        return CloudError(CloudErrorKind.WRONG_TENANT, *error_texts.tenant_unknown())
    # Entra's refusals have a code (``answers``), so a refusal without one comes from the service that received the token.
    if error.status_code == HTTPStatus.UNAUTHORIZED and not codes:
        return _refused_token(error, text)
    return CloudError(
        CloudErrorKind.AUTHENTICATION,
        *error_texts.sign_in_not_accepted(f"AADSTS{codes[0]}" if codes else _plain_code(error)),
        http_status=error.status_code,
        request_id=_request_id(error),
    )


def _refused_token(error: Any, text: str) -> CloudError:
    """Return that a service refused a token of Entra's: for good where it names what the token is for or from."""
    named = re.search(r"AKV\d+", text)
    detail = named.group() if named else _plain_code(error)
    passes = detail not in _FOREIGN_TOKENS
    return CloudError(
        CloudErrorKind.TOKEN_REFUSED if passes else CloudErrorKind.AUTHENTICATION,
        *error_texts.token_refused(detail, passes=passes),
        http_status=error.status_code,
        request_id=_request_id(error),
    )


def _plain_code(error: Any) -> str:
    """Return the code of an error as it may stand in a log row, "" for none."""
    return re.sub(r"[^0-9A-Za-z]", "", _codes(error)[0])[:60] if isinstance(error, HttpResponseError) else ""


def _answer(error: HttpResponseError, *, permission: str, subject: str) -> CloudError:
    status = error.status_code or 0
    kind, text = _classify(error, permission=permission, subject=subject)
    return CloudError(
        kind,
        *text,
        permission=permission if kind == CloudErrorKind.PERMISSION else "",
        request_id=_request_id(error),
        http_status=status or None,
        retry_after=_retry_after(error),
    )


def _classify(error: HttpResponseError, *, permission: str, subject: str) -> tuple[CloudErrorKind, Text]:
    """Return the kind and the text of an answer with an error status."""
    status = error.status_code or 0
    code, inner, text = _codes(error)
    name = _("“%(name)s”") % {"name": subject} if subject else _("the key")
    if status == 429:
        return CloudErrorKind.THROTTLED, error_texts.throttled()
    if status == 403:
        return _forbidden(_Refusal(code, inner, text, permission, name, _request_id(error)))
    if status == 404:
        return CloudErrorKind.NOT_FOUND, error_texts.not_found(name)
    if status == 409:
        return _conflict(inner, text, name)
    if "standard vault" in text or "KeyTypeNotSupported" in inner:
        return CloudErrorKind.NO_HSM_KEYS, error_texts.no_hsm_keys()
    answer = f"{code or status} {_one_line(text)}".rstrip(" .")
    return CloudErrorKind.REFUSED_INPUT, error_texts.refused_input(name, answer)


def _codes(error: HttpResponseError) -> tuple[str, str, str]:
    """Return code, inner code and text of an error body."""
    body = error.error
    inner = getattr(body, "innererror", None) or {}
    inner_code = inner.get("code", "") if isinstance(inner, dict) else ""
    return str(getattr(body, "code", "") or ""), str(inner_code or ""), str(getattr(body, "message", "") or "")


@dataclass(frozen=True)
class _Refusal:
    """What a 403 says, and what was asked: the key permission of the call, and the key or vault in quotes."""

    code: str
    inner: str
    text: str
    permission: str
    name: str
    request_id: str


def _forbidden(refusal: _Refusal) -> tuple[CloudErrorKind, Text]:
    """Tell the kinds of 403 apart by what the text names (docs/azure.md#errors)."""
    return _network_refusal(refusal) or _state_refusal(refusal) or _rights_refusal(refusal)


def _network_refusal(refusal: _Refusal) -> tuple[CloudErrorKind, Text] | None:
    text = refusal.text
    if "Public network access is disabled" in text or "not an approved private link" in text:
        return CloudErrorKind.FIREWALL, error_texts.private_only()
    if refusal.inner in {"ForbiddenByFirewall", "ForbiddenByConnection"} or "not authorized and caller is not" in text:
        address = re.search(r"Client address:\s*([0-9a-fA-F.:]{3,45})", text)
        return CloudErrorKind.FIREWALL, error_texts.firewall(address.group(1) if address else "")
    return None


def _state_refusal(refusal: _Refusal) -> tuple[CloudErrorKind, Text] | None:
    """Return what the state of vault or key forbids, whoever asks."""
    inner, text, name = refusal.inner, refusal.text, refusal.name
    # An Azure Policy may ask for purge protection, and its refusal then names it too.
    if "purge protection" in text and (refusal.permission == "purge" or 'Operation "purge"' in text):
        return CloudErrorKind.PURGE_PROTECTED, error_texts.purge_protected()
    if inner == "KeyDisabled" or "on a disabled key" in text:
        return CloudErrorKind.KEY_DISABLED, error_texts.key_disabled(name)
    if inner in {"KeyNotYetValid", "KeyExpired"} or "key that is not yet valid" in text or "on an expired key" in text:
        return CloudErrorKind.OPERATION_FORBIDDEN, error_texts.outside_validity(name, _one_line(text))
    if inner == "KeyOperationForbidden" or "is not permitted on this key" in text:
        return CloudErrorKind.OPERATION_FORBIDDEN, error_texts.operation_forbidden(name, _one_line(text))
    return None


def _rights_refusal(refusal: _Refusal) -> tuple[CloudErrorKind, Text]:
    """Return which right is missing; where the text names none, that the reason is another one."""
    text = refusal.text
    if refusal.code == "AuthorizationFailed":
        return CloudErrorKind.PERMISSION, error_texts.reader_missing()
    named = re.search(r"does not have keys (\w+) permission", text)
    action = re.search(r"Action:\s*'?Microsoft\.KeyVault/vaults/key(?:s|rotationpolicies)/(\w+)", text)
    # Where a deny assignment refuses, no grant helps.
    denial = re.search(r"DenyAssignmentId:[ \t]*'?([0-9A-Za-z/.-]+)", text)
    is_denied = denial is not None and denial.group(1).lower() != "null"
    if is_denied or (named is None and action is None):
        tell = error_texts.denied if is_denied else error_texts.refused_otherwise
        return CloudErrorKind.REFUSED_OTHERWISE, tell(refusal.name, _one_line(text), refusal.request_id)
    word = (
        (named and named.group(1))
        or refusal.permission
        or (action and _PERMISSION_OF_ACTION.get(action.group(1), action.group(1)))
        or ""
    )
    return CloudErrorKind.PERMISSION, error_texts.permission_missing(str(word).capitalize())


def _one_line(text: str) -> str:
    """Return foreign text as it may stand in a log row: one line, no control characters, at most 300 characters."""
    return mask("".join(each for each in " ".join(text.split()) if each.isprintable()))[:300]


def _conflict(inner: str, text: str, name: str) -> tuple[CloudErrorKind, Text]:
    if inner == "ObjectIsDeletedButRecoverable" or "deleted but recoverable" in text:
        return CloudErrorKind.SOFT_DELETED, error_texts.soft_deleted(name)
    if inner in {"ObjectIsBeingDeleted", "ObjectIsBeingRecovered"} or "currently being" in text:
        return CloudErrorKind.BEING_DELETED, error_texts.being_deleted(name)
    return CloudErrorKind.CONFLICT, error_texts.conflict(name)


def _request_id(error: HttpResponseError) -> str:
    headers = getattr(error.response, "headers", None) or {}
    return clean_request_id(str(headers.get("x-ms-request-id", "")))


def clean_request_id(text: str) -> str:
    """Return Azure's id of a request as it may stand in a log row; a header may hold anything."""
    return re.sub(r"[^0-9A-Za-z-]", "", text)[:64]


def _retry_after(error: HttpResponseError) -> float | None:
    headers = getattr(error.response, "headers", None) or {}
    return read_retry_after(str(headers.get("Retry-After", "")), str(headers.get("Date", "")))
