"""The one mapping from the SDK's errors to ours: kind, text with a remedy, and what is known of the effect.

Facts: AZURE.md 2.6 (Key Vault) and 3.5 (Entra). Texts never carry a token, secret or request body.
"""

from __future__ import annotations

import re
from enum import StrEnum
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
from django.utils.translation import gettext_lazy
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from cloudcreds.azure.sending import TooLateToSend
from kmes.core.errors import KmesError


class AzureErrorKind(StrEnum):
    """What went wrong."""

    AUTHENTICATION = "authentication"
    WRONG_TENANT = "wrong_tenant"
    WRONG_CLIENT = "wrong_client"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - a kind of error
    EXPIRED_SECRET = "expired_secret"  # noqa: S105 - a kind of error
    PERMISSION = "permission"
    FIREWALL = "firewall"
    NOT_FOUND = "not_found"
    SOFT_DELETED = "soft_deleted"
    BEING_DELETED = "being_deleted"
    CONFLICT = "conflict"
    THROTTLED = "throttled"
    STANDARD_VAULT = "standard_vault"
    PURGE_PROTECTED = "purge_protected"
    KEY_DISABLED = "key_disabled"
    REFUSED_INPUT = "refused_input"
    UNREACHABLE = "unreachable"
    UNKNOWN_OUTCOME = "unknown_outcome"
    SERVER_ERROR = "server_error"
    REDIRECT_REFUSED = "redirect_refused"
    TOO_LATE = "too_late"


RETRYABLE = frozenset(
    {AzureErrorKind.THROTTLED, AzureErrorKind.UNREACHABLE, AzureErrorKind.SERVER_ERROR, AzureErrorKind.TOO_LATE}
)


class AzureError(KmesError):
    """Azure refused or could not be reached.

    Attributes:
        kind: what went wrong.
        effect_unknown: whether a changing call may have taken effect all the same.
        permission: the missing key permission, for kind ``permission``.
        request_id: Azure's id of the request, for a support case.
        http_status: the status, None when no answer came.
        retry_after: seconds Azure asked to wait, None when it did not say.

    """

    def __init__(
        self,
        kind: AzureErrorKind,
        what: str,
        remedy: str = "",
        *,
        permission: str = "",
        request_id: str = "",
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(what, remedy, retryable=kind in RETRYABLE, code=f"azure.{kind}")
        self.kind = kind
        self.effect_unknown = kind == AzureErrorKind.UNKNOWN_OUTCOME
        self.permission = permission
        self.request_id = request_id
        self.http_status = http_status
        self.retry_after = retry_after


_SECRET_HELP = gettext_lazy("Type the current client secret in the cloud credential, or make a new one in Entra.")
_AADSTS = {
    "7000215": (AzureErrorKind.WRONG_SECRET, gettext_lazy("Entra refused the client secret (%(code)s)."), _SECRET_HELP),
    "7000222": (AzureErrorKind.EXPIRED_SECRET, gettext_lazy("The client secret has expired (%(code)s)."), _SECRET_HELP),
    "700016": (
        AzureErrorKind.WRONG_CLIENT,
        gettext_lazy("The tenant knows no application with this client id (%(code)s)."),
        gettext_lazy("Check Client ID and Tenant ID in the cloud credential."),
    ),
    "90002": (
        AzureErrorKind.WRONG_TENANT,
        gettext_lazy("Entra knows no tenant with this id (%(code)s)."),
        gettext_lazy("Check Tenant ID and Cloud in the cloud credential."),
    ),
    "900023": (
        AzureErrorKind.WRONG_TENANT,
        gettext_lazy("The tenant id is malformed (%(code)s)."),
        gettext_lazy("Check Tenant ID in the cloud credential."),
    ),
}
_ACTIONS = {"read": "get/list", "update": "update", "create": "create", "import": "import", "delete": "delete"}


def translate(error: SdkError, *, mutating: bool, permission: str = "", subject: str = "") -> AzureError:
    """Turn an SDK error into ours.

    Args:
        error: what the SDK raised.
        mutating: whether the call changes the vault; then a lost answer means an unknown outcome.
        permission: the key permission the call needs, named when Azure doesn't.
        subject: the key or vault the call was about.

    """
    if isinstance(error, ClientAuthenticationError):
        return _authentication(error)
    if isinstance(error, (TooLateToSend, TooManyRedirectsError)):
        return _too_late() if isinstance(error, TooLateToSend) else _redirect()
    if isinstance(error, HttpResponseError):
        return _answer(error, mutating=mutating, permission=permission, subject=subject)
    return _no_answer(error, mutating=mutating, subject=subject or "Azure")


def _no_answer(error: SdkError, *, mutating: bool, subject: str) -> AzureError:
    if isinstance(error, ServiceRequestError) and _never_sent(error):
        return AzureError(
            AzureErrorKind.UNREACHABLE,
            _("%(subject)s can't be reached: %(reason)s.") % {"subject": subject, "reason": _network_reason(error)},
            _("Check name, network and firewall: the login, management and vault addresses need port 443."),
        )
    if mutating:
        return AzureError(
            AzureErrorKind.UNKNOWN_OUTCOME,
            _("The connection to %(subject)s broke before its answer came.") % {"subject": subject},
            _("Nothing is repeated before the vault has been looked at."),
        )
    return AzureError(
        AzureErrorKind.UNREACHABLE,
        _("The connection to %(subject)s broke.") % {"subject": subject},
        _("Check the network between the worker and Azure."),
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


def _never_sent(error: BaseException) -> bool:
    """Return whether the request can't have reached the service: no connection was made, or no trust."""
    names = (NewConnectionError, ConnectTimeoutError, NameResolutionError)
    return any(isinstance(one, names) or "CertificateVerif" in type(one).__name__ for one in _causes(error)) or (
        "CERTIFICATE_VERIFY_FAILED" in str(error)
    )


def _network_reason(error: BaseException) -> str:
    text = str(error)
    for sign, words in (
        ("CERTIFICATE_VERIFY_FAILED", _("its certificate is not trusted")),
        ("refused", _("the connection was refused")),
        ("resolve", _("its name is not known")),
        ("resolution", _("its name is not known")),
        ("timed out", _("it did not answer in time")),
    ):
        if sign in text:
            return words
    return _("no connection could be made")


def _too_late() -> AzureError:
    return AzureError(
        AzureErrorKind.TOO_LATE,
        _("The request was not sent, because this worker had stood still for too long."),
        _("Nothing is lost: it is announced anew and sent then."),
    )


def _redirect() -> AzureError:
    return AzureError(
        AzureErrorKind.REDIRECT_REFUSED,
        _("The answer pointed to another address, which is never followed."),
        _("Check the vault's URL, and whether a proxy stands in between."),
    )


def _authentication(error: ClientAuthenticationError) -> AzureError:
    text = str(error.message or error)
    codes = re.findall(r"AADSTS(\d+)", text)
    for code in codes:
        if code in _AADSTS:
            kind, what, remedy = _AADSTS[code]
            return AzureError(kind, str(what) % {"code": f"AADSTS{code}"}, str(remedy), http_status=error.status_code)
    # MSAL hides the tenant's error behind its own (AZURE.md, 3.5).
    if "authority configuration" in text:
        return AzureError(
            AzureErrorKind.WRONG_TENANT,
            _("Entra knows no tenant with this id, or the login address can't be reached."),
            _("Check Tenant ID and Cloud in the cloud credential."),
        )
    vault_code = re.search(r"AKV\d+", text)
    detail = f"AADSTS{codes[0]}" if codes else vault_code.group() if vault_code else _("no code given")
    return AzureError(
        AzureErrorKind.AUTHENTICATION,
        _("Azure did not accept the sign-in (%(detail)s).") % {"detail": detail},
        _(
            "Check Tenant ID, Client ID and Client Secret of the cloud credential, and that the vault is in this tenant."
        ),
        http_status=error.status_code,
        request_id=_request_id(error),
    )


def _request_id(error: HttpResponseError) -> str:
    headers = getattr(error.response, "headers", None) or {}
    return str(headers.get("x-ms-request-id", ""))


def _retry_after(error: HttpResponseError) -> float | None:
    headers = getattr(error.response, "headers", None) or {}
    try:
        return float(headers["Retry-After"])
    except (KeyError, ValueError):
        return None


def _answer(error: HttpResponseError, *, mutating: bool, permission: str, subject: str) -> AzureError:
    status = error.status_code or 0
    code, inner, text = _codes(error)
    kind, what, remedy = _classify(status, code, inner, text, mutating=mutating, permission=permission, subject=subject)
    return AzureError(
        kind,
        what,
        remedy,
        permission=permission if kind == AzureErrorKind.PERMISSION else "",
        request_id=_request_id(error),
        http_status=status or None,
        retry_after=_retry_after(error),
    )


def _codes(error: HttpResponseError) -> tuple[str, str, str]:
    body = error.error
    inner = getattr(body, "innererror", None) or {}
    inner_code = inner.get("code", "") if isinstance(inner, dict) else ""
    return str(getattr(body, "code", "") or ""), str(inner_code or ""), str(getattr(body, "message", "") or "")


def _classify(  # noqa: PLR0911 - one return per kind of answer
    status: int, code: str, inner: str, text: str, *, mutating: bool, permission: str, subject: str
) -> tuple[AzureErrorKind, str, str]:
    """Return kind, what, remedy of an answer with an error status."""
    name = _("“%(name)s”") % {"name": subject} if subject else _("the key")
    if status in {301, 302, 303, 307, 308}:
        redirect = _redirect()
        return redirect.kind, redirect.what, redirect.remedy
    if status == 429:
        return (
            AzureErrorKind.THROTTLED,
            _("The vault throttles: too many requests."),
            _("It is tried again after a pause."),
        )
    if status >= 500:
        kind = AzureErrorKind.UNKNOWN_OUTCOME if mutating else AzureErrorKind.SERVER_ERROR
        return (
            kind,
            _("Azure answered with an error of its own (HTTP %(status)d).") % {"status": status},
            _("It is looked at again later."),
        )
    if status == 403:
        return _forbidden(inner, text, permission, name)
    if status == 404:
        return (
            AzureErrorKind.NOT_FOUND,
            _("The vault has no key %(name)s.") % {"name": name},
            _("Run Cloud > Check Drift."),
        )
    if status == 409:
        return _conflict(inner, name)
    if "standard vault" in text or "KeyTypeNotSupported" in inner:
        return (
            AzureErrorKind.STANDARD_VAULT,
            _("The vault is of the Standard tier, which holds no HSM keys."),
            _("Choose a vault of the Premium tier."),
        )
    answer = f"{code or status} {' '.join(text.split())[:300]}".rstrip(" .")
    return (
        AzureErrorKind.REFUSED_INPUT,
        _("Azure refused the request about %(name)s: %(answer)s.") % {"name": name, "answer": answer},
        _("Check the key group's Azure properties."),
    )


def _forbidden(inner: str, text: str, permission: str, name: str) -> tuple[AzureErrorKind, str, str]:
    if inner in {"ForbiddenByFirewall", "ForbiddenByConnection"} or "not authorized and caller is not" in text:
        return (
            AzureErrorKind.FIREWALL,
            _("The vault's firewall does not let this console in."),
            _("Allow the console's address or subnet in the vault's Networking settings."),
        )
    if "purge protection" in text:
        return (
            AzureErrorKind.PURGE_PROTECTED,
            _("The vault has purge protection: nobody can purge before the retention period ends."),
            _("Azure purges by itself then; until then the key can be recovered."),
        )
    if inner == "KeyDisabled" or "disabled key" in text:
        return (
            AzureErrorKind.KEY_DISABLED,
            _("The version of %(name)s is disabled.") % {"name": name},
            _("Enable it first."),
        )
    named = re.search(r"does not have keys (\w+) permission", text)
    action = re.search(r"vaults/keys/(\w+)", text)
    word = (named and named.group(1)) or permission or (action and _ACTIONS.get(action.group(1), action.group(1))) or ""
    word = str(word).capitalize()
    return (
        AzureErrorKind.PERMISSION,
        _("The app registration lacks the key permission %(name)s on the vault.") % {"name": word},
        _(
            "Grant it %(name)s in the vault's access policy, or the role Key Vault Crypto Officer; "
            "a new grant can take some minutes."
        )
        % {"name": word},
    )


def _conflict(inner: str, name: str) -> tuple[AzureErrorKind, str, str]:
    if inner == "ObjectIsDeletedButRecoverable":
        return (
            AzureErrorKind.SOFT_DELETED,
            _("The Azure key %(name)s is deleted but recoverable, so its name can't be used.") % {"name": name},
            _("Recover it (Cloud > Recover) or purge it (Cloud > Purge) first."),
        )
    if inner in {"ObjectIsBeingDeleted", "ObjectIsBeingRecovered"}:
        return (
            AzureErrorKind.BEING_DELETED,
            _("Azure is still busy with deleting or recovering %(name)s.") % {"name": name},
            _("Try again in a minute."),
        )
    return (
        AzureErrorKind.CONFLICT,
        _("The vault reports a conflict about %(name)s.") % {"name": name},
        _("Look at the key in the vault."),
    )
