"""Verifies in the device where the keys of a group go, before they are wrapped. Workers only."""

from __future__ import annotations

from cloudcreds.destinations import claim_of_credential, claim_of_vault
from hsm import destination_marks
from hsm.destination_marks import Use
from hsm.mark_checks import MarkError
from hsm.verified import VerifiedDestination
from keygroups.destinations import claim_of_group
from keygroups.models import KeyGroup


def verify_group(group: KeyGroup, use: Use) -> tuple[KeyGroup, VerifiedDestination]:
    """Return the group as it is verified with its vault and credential, and what was verified.

    A row that does not hold is read once more: somebody may have saved it since it was read.

    Raises:
        MarkError: a row is not as this console saved it, or an earlier release made it.
        DeviceError: the device can't serve.

    """
    try:
        return group, _verify(group, use)
    except MarkError:
        fresh = KeyGroup.objects.select_related("vault__credential", "credential").get(pk=group.pk)
        return fresh, _verify(fresh, use)


def _verify(group: KeyGroup, use: Use) -> VerifiedDestination:
    return destination_marks.verify(
        credential=claim_of_credential(group.vault.credential),
        vault=claim_of_vault(group.vault),
        group=claim_of_group(group),
        use=use,
    )
