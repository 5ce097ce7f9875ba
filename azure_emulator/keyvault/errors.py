"""The refusals of the data plane, with the codes and texts of the real service.

Owns wording. Must not decide when to refuse.
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
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.inner:
            error["innererror"] = {"code": self.inner}
        return {"error": error}


def bad_parameter(message: str, inner: str | None = None) -> ServiceError:
    return ServiceError(400, "BadParameter", message, inner)


def unauthorized(message: str, challenge: str) -> ServiceError:
    return ServiceError(401, "Unauthorized", message, headers={"www-authenticate": challenge})


def forbidden(message: str, inner: str | None = None) -> ServiceError:
    return ServiceError(403, "Forbidden", message, inner)


def key_not_found(shown: str) -> ServiceError:
    return ServiceError(
        404,
        "KeyNotFound",
        f"A key with (name/id) {shown} was not found in this key vault. If you recently deleted this key you may be able "
        "to recover it using the correct recovery command. For help resolving this issue, please see "
        "https://go.microsoft.com/fwlink/?linkid=2125182",
    )


def deleted_key_not_found(name: str) -> ServiceError:
    return ServiceError(404, "KeyNotFound", f"Deleted Key not found: {name}")


def not_found(message: str) -> ServiceError:
    return ServiceError(404, "NotFound", message)


def conflict(message: str, inner: str | None = None) -> ServiceError:
    return ServiceError(409, "Conflict", message, inner)


def deleted_but_recoverable(name: str) -> ServiceError:
    return conflict(
        f"Key {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the "
        "key can only be recovered or purged.",
        "ObjectIsDeletedButRecoverable",
    )


def being_deleted() -> ServiceError:
    return conflict("Key is currently being deleted.", "ObjectIsBeingDeleted")


def being_recovered() -> ServiceError:
    return conflict("Key is currently being recovered.", "ObjectIsBeingRecovered")


def throttled() -> ServiceError:
    # No Retry-After: captures of the real service show none.
    return ServiceError(
        429,
        "Throttled",
        "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
    )


def purge_protected(vault: str, location: str) -> ServiceError:
    return forbidden(
        'Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will '
        f"automatically purge it after the retention period has passed.\r\nVault: {vault};location={location}"
    )
