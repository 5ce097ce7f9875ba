"""Parts several picked keys into those a job can work on and those it can't, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from cloudcreds.vaults import why_not_hsm_keys
from jobs.choices import OPEN_STATES
from jobs.models import Job, JobTarget
from jobs.planning.blockers import KeySituation, busy_text, whole_key_kinds, why_not_push, why_not_switch
from keygroups.choices import HELD_VERSION_STATES, GroupCloudState, KeyState
from keygroups.models import CloudVersion, Key
from keygroups.scope_marks import why_outside
from keygroups.selection import KeySelection

# So many keys are looked at for the menu of a selection.
LOOKED_AT = 500


@dataclass(frozen=True)
class Eligibility:
    """Keys that can be worked on, and those that can't with the reason."""

    eligible: list[Key]
    blocked: list[tuple[Key, str]]


def find_pushable(keys: Sequence[Key]) -> Eligibility:
    """Part the keys that can be pushed from those that can't: three queries, however many there are."""
    ids = [key.pk for key in keys]
    held = CloudVersion.objects.filter(key__in=ids, state__in=HELD_VERSION_STATES)
    versions = {version.key_id: version for version in held.order_by("pushed_at")}
    busy = _open_jobs(keys)
    found = Eligibility([], [])
    for key in keys:
        situation = KeySituation(busy.get(key.pk) or busy.get(key.group_id), versions.get(key.pk))
        reason = why_not_push(key, situation)
        if not reason and key.group.cloud_state == GroupCloudState.SOFT_DELETED:
            reason = _("Deleted in the vault: recover or purge it first")
        _add(found, key, reason or why_not_hsm_keys(key.group.vault))
    return found


def find_destroyable(keys: Sequence[Key]) -> Eligibility:
    """Part the keys whose material can be destroyed from those where it can't: two queries."""
    busy, found = _open_jobs(keys), Eligibility([], [])
    for key in keys:
        is_gone = key.state == KeyState.DESTROYED
        reason = (
            _("The key was destroyed already") if is_gone else busy_text(busy.get(key.pk) or busy.get(key.group_id))
        )
        _add(found, key, reason)
    return found


def find_switchable(keys: Sequence[Key], *, wanted: bool) -> Eligibility:
    """Part the keys whose version can be enabled or disabled from the others: three queries."""
    versions = {version.key_id: version for version in _held_versions(keys)}
    busy, found = _open_jobs(keys), Eligibility([], [])
    for key in keys:
        situation = KeySituation(busy.get(key.pk) or busy.get(key.group_id), versions.get(key.pk))
        _add(found, key, why_not_switch(situation, wanted=wanted))
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
        keys = list(selection.keys()[: LOOKED_AT + 1])
        # The confirmation says it of more.
        found = find(keys) if 0 < len(keys) <= LOOKED_AT else Eligibility([], [])
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


def _open_jobs(keys: Sequence[Key]) -> dict[UUID, Job]:
    """Return the open jobs in the way, by the key they work on or the group they work on as a whole."""
    targets = JobTarget.objects.filter(key__in=[key.pk for key in keys], job__state__in=OPEN_STATES)
    found = {target.key_id: target.job for target in targets.select_related("job")}
    groups = {key.group_id for key in keys}
    whole = Job.objects.filter(group__in=groups, kind__in=whole_key_kinds(), state__in=OPEN_STATES)
    return found | {job.group_id: job for job in whole if job.group_id}
