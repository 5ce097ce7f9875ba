"""For which place the secrets of a credential are sealed, and what binds a seal to it. Knows no device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudcreds.models import CloudCredential, SignInCertificate
from hsm.marks import seal_context
from hsm.mfk_guard import seal_for_device
from kmes.core.secret_types import SecretText

SECRET = "client secret"  # noqa: S105 - no secret, but what holds one
# In the order of ``CredentialFacts.place``.
_PLACE = ("cloud", "tenant_id", "client_id", "authority_url", "arm_url")


def holder_of_key(row: SignInCertificate) -> str:
    """Return what holds a certificate's private key, as its seal names it."""
    return f"certificate {row.pk}"


def place_of(credential: CloudCredential, changed: Mapping[str, Any] | None = None) -> list[str]:
    """Return the place where a credential's secrets are sent, with what is about to change of it."""
    return [str((changed or {}).get(name, getattr(credential, name))) for name in _PLACE]


def seal_secret(credential: CloudCredential, secret: SecretText, *, place: list[str]) -> bytes:
    """Seal a client secret so that only the designated device opens it, for this credential and place.

    Raises:
        DeviceError: no device is designated, or its MFK is not the pinned one; nothing is sealed.

    """
    return seal_for_device(secret, aad=seal_context(credential.pk, SECRET, place))


def seal_key(row: SignInCertificate, key: SecretText, *, place: list[str]) -> None:
    """Seal a certificate's private key in its row, likewise."""
    row.sealed_for = place
    row.sealed_key = seal_for_device(key, aad=seal_context(row.credential_id, holder_of_key(row), place))


def context_of_secret(credential: CloudCredential) -> bytes:
    """Return the associated data with which the client secret is sealed now; earlier releases named the row only."""
    if not credential.sealed_for:
        return f"cloudcreds.CloudCredential:{credential.pk}:client_secret".encode()
    return seal_context(credential.pk, SECRET, credential.sealed_for)


def context_of_key(row: SignInCertificate) -> bytes:
    """Return the associated data with which a certificate's private key is sealed now."""
    if not row.sealed_for:
        return f"cloudcreds.SignInCertificate:{row.pk}:private_key".encode()
    return seal_context(row.credential_id, holder_of_key(row), row.sealed_for)
