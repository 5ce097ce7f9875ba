"""Destinations of the device's tests, as the check of their marks gives them."""

from __future__ import annotations

from hsm.device import Device
from hsm.mark_checks import Claim, check_destination
from hsm.marks import CredentialFacts, digest, encode
from hsm.signed_saves import MarkedRow
from hsm.verified import VerifiedDestination
from kmes.core.ids import new_uuid

TENANT = "11111111-1111-1111-1111-111111111111"
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
    facts = make_facts(**changes)
    (mark,) = device.mark([encode(facts, number=1)])
    return check_destination(device, credential=Claim("row", facts, Row(mark_number=1, mark=mark)))


def destination_of(device: Device, sealed: bytes) -> VerifiedDestination:
    """A destination whose client secret this is."""
    return verified(device, secret=digest(sealed))
