"""Why something can't be asked for now: one sentence per action, "" when nothing stands in the way.

Menus and confirmation pages ask here, so both give the same reason. The services check again when
a job is asked for; what is said here is a courtesy. A menu costs two queries: what was read about
an object is kept on that object for the rest of the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q
from django.utils.translation import gettext as _

from jobs.choices import JobKind, JobState
from jobs.models import Job, JobTarget
from jobs.pages.selectors import OPEN_STATES, about_group
from jobs.retry import RETRYABLE_STATES
from keygroups.choices import GroupCloudState, KeyState, VersionState
from keygroups.lifecycle import LIVE_STATES
from keygroups.models import CloudVersion, Key, KeyGroup

# Jobs that act on the Azure key as a whole: nothing may be pushed meanwhile.
WHOLE_KEY_KINDS = (JobKind.CLOUD_DELETE, JobKind.CLOUD_RECOVER, JobKind.CLOUD_PURGE)
_HELD_STATES = (*LIVE_STATES, VersionState.PUSHING, VersionState.SOFT_DELETED)


@dataclass(frozen=True)
class GroupSituation:
    """What bars actions on a group: the open job on its Azure key, and how many keys could be pushed."""

    open_job: Job | None
    present_keys: int
    unpushed_keys: int


@dataclass(frozen=True)
class KeySituation:
    """What bars actions on a key: the open job in its way, and its newest version in the vault."""

    open_job: Job | None
    version: CloudVersion | None


def situation_of_group(group: KeyGroup) -> GroupSituation:
    """Read what bars actions on the group: two queries, once per object."""
    known = group.__dict__.get("_situation")
    if isinstance(known, GroupSituation):
        return known
    held = CloudVersion.objects.filter(key=OuterRef("pk"), state__in=_HELD_STATES)
    counts = (
        Key.objects.filter(group=group, state=KeyState.PRESENT)
        .annotate(is_held=Exists(held))
        .aggregate(present=Count("pk"), unpushed=Count("pk", filter=Q(is_held=False)))
    )
    holding = Job.objects.filter(about_group(group.pk), state__in=OPEN_STATES).exclude(kind=JobKind.CREATE)
    busy = holding.exclude(kind=JobKind.DESTROY).order_by("created_at").first()
    situation = GroupSituation(busy, counts["present"], counts["unpushed"])
    group.__dict__["_situation"] = situation
    return situation


def situation_of_key(key: Key) -> KeySituation:
    """Read what bars actions on the key: two queries, once per object."""
    known = key.__dict__.get("_situation")
    if isinstance(known, KeySituation):
        return known
    own = JobTarget.objects.filter(job=OuterRef("pk"), key=key)
    in_the_way = Q(Exists(own)) | Q(kind__in=WHOLE_KEY_KINDS, group_id=key.group_id)
    busy = Job.objects.filter(in_the_way, state__in=OPEN_STATES).order_by("created_at").first()
    situation = KeySituation(busy, living_version(key))
    key.__dict__["_situation"] = situation
    return situation


def living_version(key: Key) -> CloudVersion | None:
    """Return the key's version that the vault holds, or is just getting or giving back; None otherwise."""
    return key.cloud_versions.filter(state__in=_HELD_STATES).order_by("-pushed_at").first()


def busy_text(job: Job | None) -> str:
    """Name the job in the way; "" for none."""
    return _("Another job is running (%(job)s)") % {"job": job} if job else ""


# --- Groups ----------------------------------------------------------------------------------
def to_synchronize_all(group: KeyGroup) -> str:
    """Say why the group's keys can't be pushed."""
    if group.cloud_state == GroupCloudState.SOFT_DELETED:
        return _("Deleted in the vault: recover or purge it first")
    situation = situation_of_group(group)
    if not situation.present_keys:
        return _("The group has no key yet")
    if not situation.unpushed_keys:
        return _("All keys are synchronized already")
    return busy_text(situation.open_job)


def to_rotate(group: KeyGroup) -> str:
    """Say why the group can't be rotated."""
    if group.cloud_state == GroupCloudState.SOFT_DELETED:
        return _("Deleted in the vault: recover or purge it first")
    return busy_text(situation_of_group(group).open_job)


def to_delete(group: KeyGroup) -> str:
    """Say why the Azure key can't be deleted."""
    if group.cloud_state == GroupCloudState.SOFT_DELETED:
        return _("Deleted in the vault already")
    if group.cloud_state != GroupCloudState.LIVE:
        return _("The vault holds no key of this group")
    return busy_text(situation_of_group(group).open_job)


def to_recover(group: KeyGroup) -> str:
    """Say why the Azure key can't be recovered."""
    if group.cloud_state != GroupCloudState.SOFT_DELETED:
        return _("Not deleted in the vault")
    return busy_text(situation_of_group(group).open_job)


def to_purge(group: KeyGroup) -> str:
    """Say why the Azure key can't be purged."""
    if group.cloud_state != GroupCloudState.SOFT_DELETED:
        return _("Not deleted in the vault")
    if group.vault.is_purge_protected:
        return _("The vault has purge protection")
    return busy_text(situation_of_group(group).open_job)


def to_check_drift(group: KeyGroup) -> str:
    """Say why the vault can't be compared now."""
    return busy_text(situation_of_group(group).open_job)


# --- Several keys ----------------------------------------------------------------------------
@dataclass(frozen=True)
class Sorted:
    """Keys that can be worked on, and those that can't with the reason."""

    ready: list[Key]
    barred: list[tuple[Key, str]]


def sort_to_synchronize(keys: Sequence[Key]) -> Sorted:
    """Part the keys that can be pushed from those that can't: three queries, however many there are."""
    ids = [key.pk for key in keys]
    held = CloudVersion.objects.filter(key__in=ids, state__in=_HELD_STATES)
    versions = {version.key_id: version for version in held.order_by("pushed_at")}
    busy = _open_jobs(keys)
    found = Sorted([], [])
    for key in keys:
        situation = KeySituation(busy.get(key.pk) or busy.get(key.group_id), versions.get(key.pk))
        reason = _to_push(key, situation)
        if not reason and key.group.cloud_state == GroupCloudState.SOFT_DELETED:
            reason = _("Deleted in the vault: recover or purge it first")
        _sort(found, key, reason)
    return found


def sort_to_destroy(keys: Sequence[Key]) -> Sorted:
    """Part the keys whose material can be destroyed from those where it can't: two queries."""
    busy, found = _open_jobs(keys), Sorted([], [])
    for key in keys:
        is_gone = key.state == KeyState.DESTROYED
        reason = (
            _("The key was destroyed already") if is_gone else busy_text(busy.get(key.pk) or busy.get(key.group_id))
        )
        _sort(found, key, reason)
    return found


def _sort(found: Sorted, key: Key, reason: str) -> None:
    if reason:
        found.barred.append((key, reason))
    else:
        found.ready.append(key)


def _open_jobs(keys: Sequence[Key]) -> dict[UUID, Job]:
    """Return the open jobs in the way, by the key they work on or the group they work on as a whole."""
    targets = JobTarget.objects.filter(key__in=[key.pk for key in keys], job__state__in=OPEN_STATES)
    found = {target.key_id: target.job for target in targets.select_related("job")}
    groups = {key.group_id for key in keys}
    whole = Job.objects.filter(group__in=groups, kind__in=WHOLE_KEY_KINDS, state__in=OPEN_STATES)
    return found | {job.group_id: job for job in whole if job.group_id}


# --- Keys and versions -----------------------------------------------------------------------
def to_synchronize(key: Key) -> str:
    """Say why the key can't be pushed."""
    if key.state == KeyState.DESTROYED:
        return _("The key was destroyed here")
    return _to_push(key, situation_of_key(key))


def _to_push(key: Key, situation: KeySituation) -> str:
    if key.state == KeyState.DESTROYED:
        return _("The key was destroyed here")
    if situation.open_job is not None:
        return busy_text(situation.open_job)
    if situation.version is None:
        return ""
    if situation.version.state == VersionState.SOFT_DELETED:
        return _("Deleted in the vault: recover or purge it first")
    return _("Synchronized already (%(state)s)") % {"state": situation.version.get_state_display()}


def to_enable(key: Key) -> str:
    """Say why the key's version can't be enabled."""
    return _to_switch(situation_of_key(key), wanted=True)


def to_disable(key: Key) -> str:
    """Say why the key's version can't be disabled."""
    return _to_switch(situation_of_key(key), wanted=False)


def to_switch_version(version: CloudVersion, *, wanted: bool) -> str:
    """Say why a version can't be enabled or disabled; jobs in its way are the services' concern."""
    return _to_switch(KeySituation(None, version), wanted=wanted)


def _to_switch(situation: KeySituation, *, wanted: bool) -> str:
    version = situation.version
    if version is None or version.state == VersionState.PUSHING:
        return busy_text(situation.open_job) or _("Nothing was synchronized yet")
    if version.state == VersionState.SOFT_DELETED:
        return _("Deleted in the vault: recover it first")
    if version.state not in LIVE_STATES:
        return _("The vault holds no live version of this key")
    if version.enabled == wanted:
        return _("Enabled already") if wanted else _("Disabled already")
    return busy_text(situation.open_job)


def to_destroy(key: Key) -> str:
    """Say why the key material here can't be destroyed."""
    if key.state == KeyState.DESTROYED:
        return _("The key was destroyed already")
    return busy_text(situation_of_key(key).open_job)


# --- Jobs ------------------------------------------------------------------------------------
def to_cancel(job: Job) -> str:
    """Say why the job can't be cancelled."""
    if job.state not in (JobState.QUEUED, JobState.RUNNING):
        return _("The job has ended")
    if job.cancel_requested_at is not None:
        return _("Cancelling was asked for already")
    return ""


def to_retry(job: Job) -> str:
    """Say why the job can't be retried."""
    return "" if job.state in RETRYABLE_STATES else _("Only a failed or cancelled job can be retried")
