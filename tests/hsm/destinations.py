"""Destinations of the device's tests, as the check of their marks gives them."""

from __future__ import annotations

from uuid import UUID

from hsm.device import Device
from hsm.mark_checks import check_destination
from hsm.marks import CredentialFacts, DestinationFacts, GroupFacts, VaultFacts, digest, encode
from hsm.signed_saves import Claim, MarkedRow
from hsm.verified import VerifiedDestination, VerifiedKey
from kmes.core.ids import new_uuid
from logging_reports.services import Subject

TENANT = "11111111-1111-1111-1111-111111111111"
CREDENTIAL = UUID("44444444-4444-4444-4444-444444444444")
CLIENT = "22222222-2222-2222-2222-222222222222"


class Row(MarkedRow):
    """A row that is never stored."""

    class Meta:
        app_label = "tests"
        managed = False


def make_facts(**changes: object) -> CredentialFacts:
    """The facts of a credential."""
    values = {
        "id": new_uuid(),
        "service": "azure",
        "cloud": "custom",
        "tenant_id": TENANT,
        "client_id": CLIENT,
        "sign_in": "secret",
        "authority_url": "",
        "arm_url": "",
        "secret": "",
        "certificate": "",
        "certificate_key": "",
        **changes,
    }
    return CredentialFacts(**values)


def verified(device: Device, **changes: object) -> VerifiedDestination:
    """A destination that the device has marked."""
    return check_destination(device, credential=claim(device, make_facts(**changes)))


def claim(device: Device, facts: DestinationFacts) -> Claim:
    """A row of these facts, which the device has marked."""
    (mark,) = device.mark([encode(facts, number=1)])
    return Claim("row", facts, Row(mark_number=1, mark=mark), Subject(), {})


def destination_of_key(device: Device, key: VerifiedKey) -> VerifiedDestination:
    """Where the keys of a key's group go."""
    credential = make_facts()
    vault = VaultFacts(id=new_uuid(), credential_id=credential.id, cloud="custom", url="https://kv.example")
    group = GroupFacts(
        id=key.facts.group_id, credential_id=credential.id, vault_id=vault.id, azure_name="payments", usage=("sign",)
    )
    marked = [claim(device, facts) for facts in (credential, vault, group)]
    return check_destination(device, **dict(zip(("credential", "vault", "group"), marked, strict=True)))


def destination_of(device: Device, sealed: bytes, **changes: object) -> VerifiedDestination:
    """A destination whose client secret this is."""
    return verified(device, **{"id": CREDENTIAL, "secret": digest(sealed), **changes})
