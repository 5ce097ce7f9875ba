"""Turns what the vault answers into observations of its versions, for check drift and repair."""

from __future__ import annotations

from cloudcreds.provider.types import VaultKey
from keygroups.drift import Seen


def seen_of(bundle: VaultKey) -> Seen:
    """Return what a key read from the vault shows."""
    return Seen(
        azure_version=bundle.version,
        kid=bundle.kid,
        enabled=bundle.enabled,
        created_on=bundle.created_on,
        updated_on=bundle.updated_on,
        expires_on=bundle.expires_on,
        operations=list(bundle.key_ops),
        tags=bundle.tags,
        public_spki=bundle.public_spki,
    )
