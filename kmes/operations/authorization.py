"""Marks rows that an earlier release made, once, when an administrator has seen their list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from cloudcreds.access import seal_for_place
from cloudcreds.destinations import claim_of_credential, claim_of_vault
from cloudcreds.models import CloudCredential, KeyVault
from hsm.destination_marks import Use, is_own, mark_anew
from hsm.device import get_device
from hsm.mark_checks import check_keys
from hsm.marks import KeyFacts
from hsm.signed_saves import Claim
from hsm.verified import VerifiedKey
from keygroups.choices import KeyState
from keygroups.destinations import claim_of_group
from keygroups.marks import facts_of_key
from keygroups.models import Key, KeyGroup
from kmes.core.actor import Actor
from kmes.core.errors import DeviceError, KmesError
from logging_reports.services import record

BATCH = 500
NAMES_SHOWN = 10


@dataclass
class Unmarked:
    """The rows whose mark does not hold, as they are now."""

    destinations: list[Claim[Any]] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    # Keys that can't be marked, because their halves don't fit, and why.
    broken: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.destinations or self.keys)

    def lines(self) -> Iterator[str]:
        """Return what the administrator is shown, one line for each row, or for the keys of one group."""
        for claim in self.destinations:
            yield f"{claim.name}: {', '.join(f'{name} {value}' for name, value in claim.shown.items())}"
        groups: dict[str, list[str]] = {}
        for key in self.keys:
            groups.setdefault(key.group.name, []).append(key.name)
        for group, names in sorted(groups.items()):
            more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
            yield f"keys of group {group}: {len(names)} ({', '.join(names[:NAMES_SHOWN])}{more})"


def find_unmarked() -> Unmarked:
    """Return the rows that don't carry this device's mark.

    Raises:
        DeviceError: the device can't serve.

    """
    found = Unmarked(destinations=[claim for claim in _destinations() if not is_own(claim)])
    keys = Key.objects.filter(state=KeyState.PRESENT).select_related("group").order_by("group__name", "created_at")
    batch: list[Key] = []
    for key in keys.iterator(chunk_size=BATCH):
        batch.append(key)
        if len(batch) == BATCH:
            found.keys += _without_mark(batch)
            batch = []
    found.keys += _without_mark(batch)
    return found


def _destinations() -> Iterator[Claim[Any]]:
    yield from map(claim_of_credential, CloudCredential.objects.order_by("name"))
    yield from map(claim_of_vault, KeyVault.objects.select_related("credential").order_by("name"))
    yield from map(claim_of_group, KeyGroup.objects.select_related("credential", "vault").order_by("name"))


def _without_mark(keys: list[Key]) -> list[Key]:
    if not keys:
        return []
    claims = [(key.name, facts_of_key(key), bytes(key.mark)) for key in keys]
    checked = check_keys(get_device(), claims)
    return [key for key, found in zip(keys, checked, strict=True) if not isinstance(found, VerifiedKey)]


def mark_rows(unmarked: Unmarked, *, actor: Actor) -> int:
    """Mark the rows that were shown, in the state in which they were shown. Return how many.

    A row that was changed since keeps a mark that does not hold. Keys whose halves don't fit are left out and
    noted in ``unmarked.broken``.

    Raises:
        DeviceError: the device can't serve; nothing is marked.

    """
    destinations = [mark_anew(each) for each in unmarked.destinations]
    marks = {key.pk: mark for key in unmarked.keys if (mark := _mark_of(key, facts_of_key(key), unmarked)) is not None}
    with transaction.atomic():
        for write in destinations:
            write(actor)
        for key in unmarked.keys:
            if key.pk in marks:
                Key.objects.filter(pk=key.pk).update(mark=marks[key.pk])
        record(
            "device.rows_marked",
            actor=actor,
            message=f"{len(marks) + len(destinations)} rows of an earlier release marked after their list was shown",
            data={"rows": list(unmarked.lines()), "left_out": unmarked.broken},
        )
    for claim in unmarked.destinations:
        if isinstance(claim.row, CloudCredential):
            _seal_anew(claim.row, actor, unmarked)
    return len(marks) + len(destinations)


def _seal_anew(credential: CloudCredential, actor: Actor, unmarked: Unmarked) -> None:
    """Seal a credential's secret for its place: an earlier release bound it to its row only."""
    try:
        seal_for_place(CloudCredential.objects.get(pk=credential.pk), Use(actor))
    except KmesError as error:
        unmarked.broken[credential.name] = error.what


def _mark_of(key: Key, facts: KeyFacts, unmarked: Unmarked) -> bytes | None:
    try:
        return get_device().mark_key(facts)
    except DeviceError as error:
        if error.code != "wrapped_key_mismatch":
            raise
        unmarked.broken[f"{key.group.name}/{key.name}"] = error.what
        return None
