"""The refusals of the data plane, as the service writes them.

Owns codes and texts. Source: docs/azure.md, "Errors". Must not decide when to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping


class ServiceError(Exception):
    """One refused request."""

    def __init__(
        self, status: int, code: str, message: str, inner: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.inner = status, code, message, inner
        self.headers = dict(headers or {})

    def envelope(self) -> dict[str, object]:
        """The error document of the service."""
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.inner:
            error["innererror"] = {"code": self.inner}
        return {"error": error}


def bad_parameter(message: str, inner: str | None = None) -> ServiceError:
    """400: the request itself is wrong."""
    return ServiceError(400, "BadParameter", message, inner)


def malformed_backup() -> ServiceError:
    """400: what should be restored is no backup of this service; the code has spaces."""
    return ServiceError(400, "Malformed backup blob", "Backup blob contains invalid or corrupt version.")


def operation_not_allowed(method: str, word: str) -> ServiceError:
    """400: the path names an operation that this method, this api-version or a vault does not have."""
    return bad_parameter(f"Method {method} does not allow operation '{word}'")


def unauthorized(message: str, challenge: str) -> ServiceError:
    """401 with the challenge that tells where to get a token."""
    return ServiceError(401, "Unauthorized", message, headers={"www-authenticate": challenge})


def forbidden(message: str, inner: str | None = None) -> ServiceError:
    """403: not allowed to this caller, or in this state."""
    return ServiceError(403, "Forbidden", message, inner)


def key_not_found(shown: str) -> ServiceError:
    """404 for a key or version that isn't live."""
    return ServiceError(
        404,
        "KeyNotFound",
        f"A key with (name/id) {shown} was not found in this key vault. If you recently deleted this key you may be able "
        "to recover it using the correct recovery command. For help resolving this issue, please see "
        "https://go.microsoft.com/fwlink/?linkid=2125182",
    )


def deleted_key_not_found(name: str) -> ServiceError:
    """404 for a name that isn't in the deleted state."""
    return ServiceError(404, "KeyNotFound", f"Deleted Key not found: {name}")


def not_found(message: str) -> ServiceError:
    """404 for a path that doesn't exist."""
    return ServiceError(404, "NotFound", message)


def conflict(message: str, inner: str | None = None) -> ServiceError:
    """409: the key's state doesn't allow it."""
    return ServiceError(409, "Conflict", message, inner)


def deleted_but_recoverable(name: str) -> ServiceError:
    """409: the name belongs to a soft-deleted key."""
    return conflict(
        f"Key {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the "
        "key can only be recovered or purged.",
        "ObjectIsDeletedButRecoverable",
    )


def being_deleted() -> ServiceError:
    """409: a deletion or purge has not settled."""
    return conflict("Key is currently being deleted.", "ObjectIsBeingDeleted")


def being_recovered() -> ServiceError:
    """409: a recovery has not settled."""
    return conflict("Key is currently being recovered.", "ObjectIsBeingRecovered")


def throttled() -> ServiceError:
    """429: too many keys made."""
    # The service sends no Retry-After here (docs/azure.md, "Limits and throttling").
    return ServiceError(
        429,
        "Throttled",
        "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
    )


def denied_by_policy(name: str, title: str, identifier: str, text: str) -> ServiceError:
    """403: an Azure Policy assignment denies the new version; the service's own words are not public."""
    usual = f"Resource '{name}' was disallowed by policy. Reasons: '{title}'. Policy definition: '{identifier}'."
    return forbidden(text or usual)


def purge_protected(vault: str, location: str) -> ServiceError:
    """403: nobody may purge in this vault."""
    return forbidden(
        'Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will '
        f"automatically purge it after the retention period has passed.\r\nVault: {vault};location={location}"
    )
