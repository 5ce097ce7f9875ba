"""Turns what the vault answers about a version into an observation of it."""

from __future__ import annotations

from cloudcreds.provider.types import VaultKey
from keygroups import drift
from keygroups.drift import Seen
from keygroups.models import CloudVersion


def seen_of(bundle: VaultKey) -> Seen:
    """Return what a key read from the vault shows."""
    return Seen(
        azure_version=bundle.version,
        kid=bundle.kid,
        enabled=bundle.enabled,
        created_on=bundle.created_on,
        updated_on=bundle.updated_on,
        expires_on=bundle.expires_on,
        not_before=bundle.not_before,
        operations=list(bundle.key_ops),
        tags=bundle.tags,
        public_spki=bundle.public_spki,
    )


def observe_change(version: CloudVersion, bundle: VaultKey) -> None:
    """Record what the vault shows of a version after a job changed it. The caller brings the transaction."""
    drift.observe(version.group, version, seen_of(bundle))
    drift.recount(version.group)
