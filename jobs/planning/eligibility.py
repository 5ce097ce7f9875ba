"""Parts several picked keys into those a job can work on and those it can't, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from cloudcreds.vaults import why_not_hsm_keys
from jobs.planning.blockers import (
    read_key_situations,
    situation_of_key,
    why_not_destroy,
    why_not_push,
    why_not_switch,
)
from keygroups.choices import HELD_VERSION_STATES, GroupCloudState
from keygroups.models import CloudVersion, Key
from keygroups.scope_marks import why_outside
from keygroups.selection import KeySelection


@dataclass(frozen=True)
class Eligibility:
    """Keys that can be worked on, and those that can't with the reason."""

    eligible: list[Key]
    blocked: list[tuple[Key, str]]


def find_pushable(keys: Sequence[Key]) -> Eligibility:
    """Part the keys that can be pushed from those that can't: three queries, however many there are."""
    read_key_situations(keys)
    found = Eligibility([], [])
    for key in keys:
        reason = why_not_push(key, situation_of_key(key))
        if not reason and key.group.cloud_state == GroupCloudState.SOFT_DELETED:
            reason = _("Deleted in the vault: recover or purge it first")
        _add(found, key, reason or why_not_hsm_keys(key.group.vault))
    return found


def find_destroyable(keys: Sequence[Key]) -> Eligibility:
    """Part the keys whose material can be destroyed from those where it can't: three queries."""
    read_key_situations(keys)
    found = Eligibility([], [])
    for key in keys:
        _add(found, key, why_not_destroy(key))
    return found


def find_switchable(keys: Sequence[Key], *, wanted: bool) -> Eligibility:
    """Part the keys whose version can be enabled or disabled from the others: three queries."""
    read_key_situations(keys)
    found = Eligibility([], [])
    for key in keys:
        _add(found, key, why_not_switch(situation_of_key(key), wanted=wanted))
    return found


def versions_of(keys: Sequence[Key]) -> list[CloudVersion]:
    """Return the versions that the vaults hold of the keys, in the order of the keys."""
    found = {version.key_id: version for version in _held_versions(keys)}
    return [found[key.pk] for key in keys if key.pk in found]


def _held_versions(keys: Sequence[Key]) -> QuerySet[CloudVersion]:
    """Return the versions that the vaults hold of the keys, the newest of each last."""
    held = CloudVersion.objects.filter(key__in=[key.pk for key in keys], state__in=HELD_VERSION_STATES)
    related = held.select_related("key__group__vault", "group__vault", "group__credential")
    return related.defer("key__wrapped_private", "group__credential__sealed_secret").order_by("pushed_at")


def why_none(find: Callable[[Sequence[Key]], Eligibility]) -> Callable[[KeySelection | None], str]:
    """Return what says why none of the selected keys can be worked on; "" when some can, or many are selected."""

    def why_not(selection: KeySelection | None) -> str:
        if selection is None:
            return ""
        # The confirmation says it of more.
        found = find(selection.looked_at)
        if found.eligible or not found.blocked:
            return ""
        reasons = {reason for _key, reason in found.blocked}
        return reasons.pop() if len(reasons) == 1 else _("Each of the selected keys has a reason of its own")

    return why_not


def _add(found: Eligibility, key: Key, reason: str) -> None:
    # Where the viewer may not act, nothing else counts.
    if reason := why_outside(key.group) or reason:
        found.blocked.append((key, reason))
    else:
        found.eligible.append(key)
