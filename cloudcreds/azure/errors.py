"""The one mapping from the SDK's errors to neutral ones: kind, and what is known of the effect.

The answers of Key Vault and Entra are described in docs/azure.md#errors; the texts stand in ``error_texts``.
"""

from __future__ import annotations

import re
from typing import Any

from azure.core.exceptions import (
    AzureError as SdkError,
)
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    TooManyRedirectsError,
)
from django.utils.translation import gettext as _
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from cloudcreds.azure import error_texts
from cloudcreds.azure.error_texts import Text
from cloudcreds.provider.errors import CloudError, CloudErrorKind

# Entra's codes, by their number.
_SIGN_IN_KINDS = {
    "7000215": CloudErrorKind.WRONG_SECRET,
    "7000222": CloudErrorKind.EXPIRED_SECRET,
    "700016": CloudErrorKind.WRONG_CLIENT,
    "90002": CloudErrorKind.WRONG_TENANT,
    "900023": CloudErrorKind.WRONG_TENANT,
}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
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
    if isinstance(error, ClientAuthenticationError):
        return _authentication(error)
    if isinstance(error, TooManyRedirectsError):
        return CloudError(CloudErrorKind.REDIRECT_REFUSED, *error_texts.redirect())
    if isinstance(error, HttpResponseError):
        return _answer(error, mutating=mutating, permission=permission, subject=subject)
    return _no_answer(error, mutating=mutating, subject=subject or "Azure")


def _no_answer(error: SdkError, *, mutating: bool, subject: str) -> CloudError:
    if isinstance(error, ServiceRequestError) and _never_sent(error):
        reason = error_texts.network_reason(str(error))
        return CloudError(CloudErrorKind.UNREACHABLE, *error_texts.unreachable(subject, reason))
    if mutating:
        return CloudError(CloudErrorKind.UNKNOWN_OUTCOME, *error_texts.change_broken_off(subject))
    return CloudError(CloudErrorKind.UNREACHABLE, *error_texts.read_broken_off(subject))


def _never_sent(error: BaseException) -> bool:
    """Return whether the request can't have reached the service: no connection was made, or no trust."""
    names = (NewConnectionError, ConnectTimeoutError, NameResolutionError)
    return any(isinstance(one, names) or "CertificateVerif" in type(one).__name__ for one in _causes(error)) or (
        "CERTIFICATE_VERIFY_FAILED" in str(error)
    )


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and what is wrapped in it, however the layers wrapped it."""
    found: list[BaseException] = []
    queue: list[Any] = [error]
    while queue:
        one = queue.pop()
        if not isinstance(one, BaseException) or one in found:
            continue
        found.append(one)
        queue += [getattr(one, "inner_exception", None), getattr(one, "reason", None), one.__cause__, *one.args]
    return found


def _authentication(error: ClientAuthenticationError) -> CloudError:
    text = str(error.message or error)
    codes = re.findall(r"AADSTS(\d+)", text)
    for code in codes:
        if code in _SIGN_IN_KINDS:
            return CloudError(_SIGN_IN_KINDS[code], *error_texts.sign_in_refused(code), http_status=error.status_code)
    # MSAL's own error hides the one about an unknown tenant (docs/azure.md#errors).
    if "authority configuration" in text:
        return CloudError(CloudErrorKind.WRONG_TENANT, *error_texts.tenant_unknown())
    vault_code = re.search(r"AKV\d+", text)
    detail = f"AADSTS{codes[0]}" if codes else vault_code.group() if vault_code else ""
    return CloudError(
        CloudErrorKind.AUTHENTICATION,
        *error_texts.sign_in_not_accepted(detail),
        http_status=error.status_code,
        request_id=_request_id(error),
    )


def _answer(error: HttpResponseError, *, mutating: bool, permission: str, subject: str) -> CloudError:
    status = error.status_code or 0
    kind, text = _classify(error, mutating=mutating, permission=permission, subject=subject)
    return CloudError(
        kind,
        *text,
        permission=permission if kind == CloudErrorKind.PERMISSION else "",
        request_id=_request_id(error),
        http_status=status or None,
        retry_after=_retry_after(error),
    )


def _classify(  # noqa: PLR0911 - one return per kind of answer
    error: HttpResponseError, *, mutating: bool, permission: str, subject: str
) -> tuple[CloudErrorKind, Text]:
    """Return the kind and the text of an answer with an error status."""
    status = error.status_code or 0
    code, inner, text = _codes(error)
    name = _("“%(name)s”") % {"name": subject} if subject else _("the key")
    if status in _REDIRECTS:
        return CloudErrorKind.REDIRECT_REFUSED, error_texts.redirect()
    if status == 429:
        return CloudErrorKind.THROTTLED, error_texts.throttled()
    if status >= 500:
        kind = CloudErrorKind.UNKNOWN_OUTCOME if mutating else CloudErrorKind.SERVER_ERROR
        return kind, error_texts.server_error(status)
    if status == 403:
        return _forbidden(inner, text, permission, name)
    if status == 404:
        return CloudErrorKind.NOT_FOUND, error_texts.not_found(name)
    if status == 409:
        return _conflict(inner, name)
    if "standard vault" in text or "KeyTypeNotSupported" in inner:
        return CloudErrorKind.NO_HSM_KEYS, error_texts.no_hsm_keys()
    answer = f"{code or status} {' '.join(text.split())[:300]}".rstrip(" .")
    return CloudErrorKind.REFUSED_INPUT, error_texts.refused_input(name, answer)


def _codes(error: HttpResponseError) -> tuple[str, str, str]:
    """Return code, inner code and text of an error body."""
    body = error.error
    inner = getattr(body, "innererror", None) or {}
    inner_code = inner.get("code", "") if isinstance(inner, dict) else ""
    return str(getattr(body, "code", "") or ""), str(inner_code or ""), str(getattr(body, "message", "") or "")


def _forbidden(inner: str, text: str, permission: str, name: str) -> tuple[CloudErrorKind, Text]:
    if inner in {"ForbiddenByFirewall", "ForbiddenByConnection"} or "not authorized and caller is not" in text:
        return CloudErrorKind.FIREWALL, error_texts.firewall()
    if "purge protection" in text:
        return CloudErrorKind.PURGE_PROTECTED, error_texts.purge_protected()
    if inner == "KeyDisabled" or "disabled key" in text:
        return CloudErrorKind.KEY_DISABLED, error_texts.key_disabled(name)
    named = re.search(r"does not have keys (\w+) permission", text)
    action = re.search(r"vaults/keys/(\w+)", text)
    word = (
        (named and named.group(1))
        or permission
        or (action and _PERMISSION_OF_ACTION.get(action.group(1), action.group(1)))
        or ""
    )
    return CloudErrorKind.PERMISSION, error_texts.permission_missing(str(word).capitalize())


def _conflict(inner: str, name: str) -> tuple[CloudErrorKind, Text]:
    if inner == "ObjectIsDeletedButRecoverable":
        return CloudErrorKind.SOFT_DELETED, error_texts.soft_deleted(name)
    if inner in {"ObjectIsBeingDeleted", "ObjectIsBeingRecovered"}:
        return CloudErrorKind.BEING_DELETED, error_texts.being_deleted(name)
    return CloudErrorKind.CONFLICT, error_texts.conflict(name)


def _request_id(error: HttpResponseError) -> str:
    headers = getattr(error.response, "headers", None) or {}
    return str(headers.get("x-ms-request-id", ""))


def _retry_after(error: HttpResponseError) -> float | None:
    headers = getattr(error.response, "headers", None) or {}
    try:
        return float(headers["Retry-After"])
    except (KeyError, ValueError):
        return None
