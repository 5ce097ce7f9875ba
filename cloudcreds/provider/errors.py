"""What can go wrong with a call to a cloud: its kind, what is known of its effect, and what helps.

Texts come from the provider that raises the error. They never carry a token, secret or request body.
"""

from __future__ import annotations

from enum import Enum, StrEnum

from kmes.core.errors import KmesError
from kmes.core.known_secrets import mask

# Rows hold codes with this prefix, so it is the same for every provider.
CODE_PREFIX = "azure."


class CloudErrorKind(StrEnum):
    """What went wrong. Rows hold the values."""

    AUTHENTICATION = "authentication"
    WRONG_TENANT = "wrong_tenant"
    WRONG_CLIENT = "wrong_client"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - a kind of error
    EXPIRED_SECRET = "expired_secret"  # noqa: S105 - a kind of error
    WRONG_CERTIFICATE = "wrong_certificate"
    FEDERATION_REFUSED = "federation_refused"
    # The file of the installation that should hold a token for federation.
    TOKEN_FILE = "token_file"  # noqa: S105 - a kind of error
    NO_MANAGED_IDENTITY = "no_managed_identity"
    # The host does not know the identity, as for minutes after it was assigned.
    UNKNOWN_IDENTITY = "unknown_identity"
    # A service did not accept the token that the sign-in gave.
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a kind of error
    PERMISSION = "permission"
    FIREWALL = "firewall"
    NOT_FOUND = "not_found"
    SOFT_DELETED = "soft_deleted"
    BEING_DELETED = "being_deleted"
    CONFLICT = "conflict"
    THROTTLED = "throttled"
    NO_HSM_KEYS = "standard_vault"
    PURGE_PROTECTED = "purge_protected"
    KEY_DISABLED = "key_disabled"
    REFUSED_INPUT = "refused_input"
    UNREACHABLE = "unreachable"
    UNKNOWN_OUTCOME = "unknown_outcome"
    SERVER_ERROR = "server_error"
    REDIRECT_REFUSED = "redirect_refused"
    TOO_LATE = "too_late"
    # Entra, or the way to it, is out of order; says nothing of the credential.
    SIGN_IN_UNAVAILABLE = "sign_in_unavailable"
    PROXY_REFUSED = "proxy_refused"
    ADDRESS_REFUSED = "address_refused"
    # A refusal that names no missing right, such as one by Azure Policy.
    REFUSED_OTHERWISE = "refused_otherwise"
    OPERATION_FORBIDDEN = "operation_forbidden"
    # The service gave something else than it was asked for.
    WRONG_ANSWER = "wrong_answer"
    # This machine's clock and the service's are too far apart for what was asked.
    CLOCK_DIFFERS = "clock_differs"
    STOPPED = "stopped"


class Effect(Enum):
    """What is known of the effect of a call that failed."""

    # The service itself answered: its word counts.
    ANSWERED = "answered"
    # The call never reached the service, or the service said that it did nothing: it may be repeated.
    NONE = "none"
    # Nothing is known: a changing call may have taken effect.
    UNKNOWN = "unknown"


# The call had no effect and may pass later.
NO_EFFECT = frozenset(
    {
        CloudErrorKind.THROTTLED,
        CloudErrorKind.UNREACHABLE,
        CloudErrorKind.TOO_LATE,
        CloudErrorKind.SERVER_ERROR,
        CloudErrorKind.SIGN_IN_UNAVAILABLE,
        # Its platform may be about to write it.
        CloudErrorKind.TOKEN_FILE,
        CloudErrorKind.UNKNOWN_IDENTITY,
        CloudErrorKind.TOKEN_REFUSED,
        CloudErrorKind.PROXY_REFUSED,
        CloudErrorKind.REDIRECT_REFUSED,
        CloudErrorKind.CONFLICT,
        CloudErrorKind.STOPPED,
    }
)
# What passes by itself. ``being_deleted`` takes minutes, so it is waited for in the queue only.
RETRYABLE = NO_EFFECT | {CloudErrorKind.BEING_DELETED}
# Codes of errors that the page of the credential helps with.
CREDENTIAL_CODES = frozenset(
    f"{CODE_PREFIX}{kind}"
    for kind in (
        CloudErrorKind.AUTHENTICATION,
        CloudErrorKind.WRONG_TENANT,
        CloudErrorKind.WRONG_CLIENT,
        CloudErrorKind.WRONG_SECRET,
        CloudErrorKind.EXPIRED_SECRET,
        CloudErrorKind.WRONG_CERTIFICATE,
        CloudErrorKind.FEDERATION_REFUSED,
        CloudErrorKind.TOKEN_FILE,
        CloudErrorKind.NO_MANAGED_IDENTITY,
        CloudErrorKind.UNKNOWN_IDENTITY,
        CloudErrorKind.TOKEN_REFUSED,
        CloudErrorKind.PERMISSION,
        CloudErrorKind.FIREWALL,
        CloudErrorKind.UNREACHABLE,
        CloudErrorKind.REDIRECT_REFUSED,
        CloudErrorKind.NO_HSM_KEYS,
        CloudErrorKind.SIGN_IN_UNAVAILABLE,
        CloudErrorKind.PROXY_REFUSED,
        CloudErrorKind.ADDRESS_REFUSED,
    )
)


_EFFECTS = {CloudErrorKind.UNKNOWN_OUTCOME: Effect.UNKNOWN, CloudErrorKind.ADDRESS_REFUSED: Effect.NONE}


class CloudError(KmesError):
    """A cloud refused a call, or could not be reached.

    Attributes:
        kind: what went wrong.
        effect: what is known of the effect of a mutating call.
        permission: the missing key permission, for kind ``permission``.
        request_id: the provider's id of the request, for a support case.
        http_status: the status, None when no answer came.
        retry_after: seconds the provider asked to wait, None when it did not say.

    """

    def __init__(
        self,
        kind: CloudErrorKind,
        what: str,
        remedy: str = "",
        *,
        permission: str = "",
        request_id: str = "",
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        # A text of the cloud's own may echo what was sent.
        super().__init__(mask(what), mask(remedy), retryable=kind in RETRYABLE, code=f"{CODE_PREFIX}{kind}")
        self.kind = kind
        self.effect = _EFFECTS.get(kind, Effect.NONE if kind in NO_EFFECT else Effect.ANSWERED)
        self.permission = permission
        self.request_id = request_id
        self.http_status = http_status
        self.retry_after = retry_after

    @property
    def effect_unknown(self) -> bool:
        """Return whether a mutating call may have taken effect all the same."""
        return self.effect is Effect.UNKNOWN

    @property
    def is_about_one_key(self) -> bool:
        """Return whether the refusal of one key's import says nothing of the next key."""
        return self.kind == CloudErrorKind.REFUSED_INPUT
