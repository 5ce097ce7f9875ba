"""Rows whose marks held. The device wraps, opens secrets and signs in for these only.

They are made in ``hsm.mark_checks`` and nowhere else (tests/rules/test_verified_rows.py), so that no caller can
forget to check.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from hsm.marks import CredentialFacts, GroupFacts, KeyFacts, VaultFacts, digest
from kmes.core.errors import DeviceError


@dataclass(frozen=True)
class VerifiedKey:
    """A key whose material and group are those that the device marked when it made the key."""

    facts: KeyFacts


@dataclass(frozen=True)
class VerifiedDestination:
    """Where the device's work goes, as the device marked it: who signs in, to which vault, for which key group."""

    credential: CredentialFacts
    vault: VaultFacts | None = None
    group: GroupFacts | None = None


def require_group(destination: VerifiedDestination, key: VerifiedKey) -> None:
    """Refuse a key that is not of the destination's key group.

    Raises:
        DeviceError: it is not (code ``not_of_destination``).

    """
    if not isinstance(key, VerifiedKey):
        raise TypeError("the device wraps keys whose marks were checked")
    _facts_of(destination)
    _require(is_its_own=destination.group is not None and destination.group.id == key.facts.group_id)


def require_sealed(destination: VerifiedDestination, protected: bytes) -> None:
    """Refuse a sealed secret, or a wrapped or sealed private key, that is not the destination's.

    Raises:
        DeviceError: it is not (code ``not_of_destination``).

    """
    facts = _facts_of(destination)
    _require(is_its_own=digest(protected) in {facts.secret, facts.certificate_key})


def require_certificate(destination: VerifiedDestination, pem: str) -> None:
    """Refuse a certificate that is not the destination's.

    Raises:
        DeviceError: it is not (code ``not_of_destination``).

    """
    _require(is_its_own=digest(pem) == _facts_of(destination).certificate)


def require_audience(destination: VerifiedDestination, audience: str) -> None:
    """Refuse to prove the credential at a token endpoint that is not of its tenant, or not at its own authority.

    Raises:
        DeviceError: it is not (code ``not_of_destination``).

    """
    facts = _facts_of(destination)
    authority = facts.authority_url.rstrip("/")
    is_there = not authority or audience.startswith(f"{authority}/")
    # A tenant that was typed as a domain has another name in the address: its id.
    is_its = not _is_guid(facts.tenant_id) or f"/{facts.tenant_id}/".lower() in audience.lower()
    _require(is_its_own=is_there and is_its)


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _facts_of(destination: VerifiedDestination) -> CredentialFacts:
    if not isinstance(destination, VerifiedDestination):
        raise TypeError("the device serves destinations whose marks were checked")
    return destination.credential


def _require(*, is_its_own: bool) -> None:
    if not is_its_own:
        raise DeviceError(
            _("The device was asked for something that does not belong to the verified destination."),
            _("Report this as a defect, and verify the log."),
            code="not_of_destination",
        )
