"""What marks and signatures cover of key groups. Knows no device; what signs is ``hsm.signed_saves``."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial

from hsm import signed_saves
from hsm.marks import GroupFacts
from hsm.signed_saves import Claim
from keygroups.models import KeyGroup
from kmes.core.actor import Actor
from logging_reports.services import Subject


def claim_of_group(group: KeyGroup) -> Claim[GroupFacts]:
    """Return a key group as a destination: which key of which vault its keys become."""
    facts = GroupFacts(
        id=group.pk,
        credential_id=group.credential_id,
        vault_id=group.vault_id,
        azure_name=group.azure_name,
        usage=tuple(sorted(group.usage)),
    )
    return Claim(
        name=f"key group {group.name}",
        facts=facts,
        row=group,
        subject=Subject(
            credential_id=str(group.credential_id),
            credential=group.credential.name,
            vault=group.vault.name,
            group_id=str(group.pk),
            group=group.name,
        ),
        shown={"vault": group.vault.url, "azure_name": group.azure_name, "usage": ", ".join(facts.usage)},
    )


def sign_new(group: KeyGroup, *, actor: Actor) -> None:
    """Sign a new key group, within the transaction that stores it."""
    signed_saves.sign_new(claim_of_group(group), actor=actor)


def changing(group: KeyGroup, *, actor: Actor) -> AbstractContextManager[None]:
    """Sign what the block changes of a key group's destination, within the transaction of the change.

    Raises:
        StrangeDestination: the group is not as this console saved it.

    """
    return signed_saves.changing(partial(_find, group), actor=actor)


def _find(group: KeyGroup) -> Claim[GroupFacts]:
    rows = KeyGroup.objects.select_for_update(of=("self",)).select_related("credential", "vault")
    return claim_of_group(rows.get(pk=group.pk))
