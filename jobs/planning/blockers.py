"""Why something can't be asked for now: one sentence per action, "" when nothing stands in the way.

Menus and confirmation pages ask here, so both give the same reason. The services check again when
a job is asked for; what is said here is a courtesy. A menu costs two queries: what was read about
an object is kept on that object for the rest of the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from cloudcreds.vaults import why_not_hsm_keys
from jobs.choices import OPEN_STATES, RETRYABLE_STATES, JobState
from jobs.models import Job, JobTarget, about_group
from jobs.spec import Scope, registry
from keygroups.choices import HELD_VERSION_STATES, LIVE_VERSION_STATES, GroupCloudState, KeyState, VersionState
from keygroups.models import CloudVersion, Key, KeyGroup
from keygroups.states import of_version


@dataclass(frozen=True)
class GroupSituation:
    """What bars actions on a group: the open job on its Azure key, which keys could be pushed, what the vault uses."""

    open_job: Job | None
    present_keys: int
    unpushed_keys: int
    has_active_version: bool


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
    held = CloudVersion.objects.filter(key=OuterRef("pk"), state__in=HELD_VERSION_STATES)
    active = CloudVersion.objects.filter(key=OuterRef("pk"), state=VersionState.ACTIVE)
    present = Q(state=KeyState.PRESENT)
    counts = (
        Key.objects.filter(group=group)
        .annotate(is_held=Exists(held), is_active=Exists(active))
        .aggregate(
            present=Count("pk", filter=present),
            unpushed=Count("pk", filter=present & Q(is_held=False)),
            active=Count("pk", filter=Q(is_active=True)),
        )
    )
    harmless = registry.kinds_where(lambda spec: not spec.blocks_group)
    open_jobs = Job.objects.filter(about_group(group.pk), state__in=OPEN_STATES).exclude(kind__in=harmless)
    busy = open_jobs.order_by("created_at").first()
    situation = GroupSituation(busy, counts["present"], counts["unpushed"], counts["active"] > 0)
    group.__dict__["_situation"] = situation
    return situation


def read_situations(groups: Sequence[KeyGroup]) -> None:
    """Read what bars actions on many groups: four queries, however many there are."""
    ids = [group.pk for group in groups]
    held = CloudVersion.objects.filter(key=OuterRef("pk"), state__in=HELD_VERSION_STATES)
    active = CloudVersion.objects.filter(key=OuterRef("pk"), state=VersionState.ACTIVE)
    keys = Key.objects.filter(group__in=ids).order_by()
    present = _count_by_group(keys.filter(state=KeyState.PRESENT))
    unpushed = _count_by_group(keys.filter(~Exists(held), state=KeyState.PRESENT))
    with_active = _count_by_group(keys.filter(Exists(active)))
    busy = _blocking_jobs(ids)
    for group in groups:
        counts = (present.get(group.pk, 0), unpushed.get(group.pk, 0), with_active.get(group.pk, 0) > 0)
        group.__dict__["_situation"] = GroupSituation(busy.get(group.pk), *counts)


def _count_by_group(keys: QuerySet[Key]) -> dict[UUID, int]:
    return dict(keys.values_list("group").annotate(number=Count("pk")))


def _blocking_jobs(ids: Sequence[UUID]) -> dict[UUID, Job]:
    """Return the oldest open job in the way of each group: its own, or one on several groups with a key of it."""
    harmless = registry.kinds_where(lambda spec: not spec.blocks_group)
    blocking = Job.objects.filter(state__in=OPEN_STATES).exclude(kind__in=harmless)
    found = [(job.group_id, job) for job in blocking.filter(group__in=ids)]
    among = JobTarget.objects.filter(key__group__in=ids, job__in=blocking.filter(group=None)).select_related("job")
    found += [(target.group_id, target.job) for target in among.annotate(group_id=F("key__group"))]
    return {
        group_id: job for group_id, job in sorted(found, key=lambda each: each[1].created_at, reverse=True) if group_id
    }


def situation_of_key(key: Key) -> KeySituation:
    """Read what bars actions on the key: two queries, once per object."""
    known = key.__dict__.get("_situation")
    if isinstance(known, KeySituation):
        return known
    own = JobTarget.objects.filter(job=OuterRef("pk"), key=key)
    in_the_way = Q(Exists(own)) | Q(kind__in=whole_key_kinds(), group_id=key.group_id)
    busy = Job.objects.filter(in_the_way, state__in=OPEN_STATES).order_by("created_at").first()
    situation = KeySituation(busy, living_version(key))
    key.__dict__["_situation"] = situation
    return situation


def read_key_situations(keys: Sequence[Key]) -> None:
    """Read what bars actions on many keys: three queries, however many there are, and none for those that were read."""
    keys = [key for key in keys if "_situation" not in key.__dict__]
    if not keys:
        return
    ids = [key.pk for key in keys]
    held: dict[UUID, list[CloudVersion]] = {}
    for version in CloudVersion.objects.filter(key__in=ids, state__in=HELD_VERSION_STATES):
        held.setdefault(version.key_id, []).append(version)
    own = JobTarget.objects.filter(key__in=ids, job__state__in=OPEN_STATES).select_related("job")
    whole = Job.objects.filter(
        group__in={key.group_id for key in keys}, kind__in=whole_key_kinds(), state__in=OPEN_STATES
    )
    busy = {target.key_id: target.job for target in own} | {job.group_id: job for job in whole if job.group_id}
    for key in keys:
        open_job = busy.get(key.pk) or busy.get(key.group_id)
        key.__dict__["_situation"] = KeySituation(open_job, _newest(held.get(key.pk, [])))


def living_version(key: Key) -> CloudVersion | None:
    """Return the key's version that the vault holds, or is just getting or giving back; None otherwise.

    Without a query for a key whose versions were read with it.
    """
    return _newest([version for version in key.cloud_versions.all() if version.state in HELD_VERSION_STATES])


def _newest(held: Sequence[CloudVersion]) -> CloudVersion | None:
    # One that is being pushed has no time yet and is the newest.
    return max(held, key=lambda each: (each.pushed_at is None, each.pushed_at or each.updated_at), default=None)


def whole_key_kinds() -> list[str]:
    """Return the kinds that act on an Azure key as a whole: nothing may be pushed meanwhile."""
    return registry.kinds_where(lambda spec: spec.scope == Scope.AZURE_KEY)


def busy_text(job: Job | None) -> str:
    """Name the job in the way; "" for none."""
    return _("Another job is running (%(job)s)") % {"job": job} if job else ""


def _why_not_vault(group: KeyGroup) -> str:
    """Say why the group's vault can't take keys, where its row is loaded: a menu spends no query on it."""
    return why_not_hsm_keys(group.vault) if KeyGroup.vault.is_cached(group) else ""


# --- Groups ----------------------------------------------------------------------------------
def why_not_synchronize_all(group: KeyGroup) -> str:
    """Say why the group's keys can't be pushed."""
    if group.cloud_state == GroupCloudState.SOFT_DELETED:
        return _("Deleted in the vault: recover or purge it first")
    if reason := _why_not_vault(group):
        return reason
    situation = situation_of_group(group)
    if not situation.present_keys:
        return _("The group has no key yet")
    if not situation.unpushed_keys:
        return _("All keys are synchronized already")
    return busy_text(situation.open_job)


def why_not_rotate(group: KeyGroup) -> str:
    """Say why the group can't be rotated."""
    if group.cloud_state == GroupCloudState.SOFT_DELETED:
        return _("Deleted in the vault: recover or purge it first")
    if reason := _why_not_vault(group):
        return reason
    return busy_text(situation_of_group(group).open_job)


def why_not_delete(group: KeyGroup) -> str:
    """Say why the Azure key can't be deleted."""
    if group.cloud_state == GroupCloudState.SOFT_DELETED:
        return _("Deleted in the vault already")
    if group.cloud_state != GroupCloudState.LIVE:
        return _("The vault holds no key of this group")
    return busy_text(situation_of_group(group).open_job)


def why_not_recover(group: KeyGroup) -> str:
    """Say why the Azure key can't be recovered."""
    if group.cloud_state != GroupCloudState.SOFT_DELETED:
        return _("Not deleted in the vault")
    return busy_text(situation_of_group(group).open_job)


def why_not_purge(group: KeyGroup) -> str:
    """Say why the Azure key can't be purged."""
    if group.cloud_state != GroupCloudState.SOFT_DELETED:
        return _("Not deleted in the vault")
    if group.vault.is_purge_protected:
        return _("The vault has purge protection")
    return busy_text(situation_of_group(group).open_job)


def why_not_check_drift(group: KeyGroup) -> str:
    """Say why the vault can't be compared now."""
    return busy_text(situation_of_group(group).open_job)


# --- Keys and versions -----------------------------------------------------------------------
def why_not_synchronize(key: Key) -> str:
    """Say why the key can't be pushed."""
    if key.state == KeyState.DESTROYED:
        return _("The key was destroyed here")
    return why_not_push(key, situation_of_key(key)) or _why_not_vault(key.group)


def why_not_push(key: Key, situation: KeySituation) -> str:
    """Say why a key in this situation can't be pushed."""
    if key.state == KeyState.DESTROYED:
        return _("The key was destroyed here")
    if situation.open_job is not None:
        return busy_text(situation.open_job)
    if situation.version is None:
        return ""
    if situation.version.state == VersionState.SOFT_DELETED:
        return _("Deleted in the vault: recover or purge it first")
    return _("Synchronized already (%(state)s)") % {"state": of_version(situation.version).label}


def why_not_enable(key: Key) -> str:
    """Say why the key's version can't be enabled."""
    return why_not_switch(situation_of_key(key), wanted=True)


def why_not_disable(key: Key) -> str:
    """Say why the key's version can't be disabled."""
    return why_not_switch(situation_of_key(key), wanted=False)


def why_not_switch_version(version: CloudVersion, *, wanted: bool) -> str:
    """Say why a version can't be enabled or disabled; jobs in its way are the services' concern."""
    return why_not_switch(KeySituation(None, version), wanted=wanted)


def why_not_switch(situation: KeySituation, *, wanted: bool) -> str:
    """Say why the version of a key in this situation can't be enabled or disabled."""
    version = situation.version
    if version is None or version.state == VersionState.PUSHING:
        return busy_text(situation.open_job) or _("Nothing was synchronized yet")
    if version.state == VersionState.SOFT_DELETED:
        return _("Deleted in the vault: recover it first")
    if version.state not in LIVE_VERSION_STATES:
        return _("The vault holds no live version of this key")
    if version.enabled == wanted:
        return _("Enabled already") if wanted else _("Disabled already")
    return busy_text(situation.open_job)


def why_not_destroy(key: Key) -> str:
    """Say why the key material here can't be destroyed."""
    if key.state == KeyState.DESTROYED:
        return _("The key was destroyed already")
    return busy_text(situation_of_key(key).open_job)


# --- Jobs ------------------------------------------------------------------------------------
def why_not_cancel(job: Job) -> str:
    """Say why the job can't be cancelled."""
    if job.state not in (JobState.AWAITING, JobState.QUEUED, JobState.RUNNING):
        return _("The job has ended")
    if job.cancel_requested_at is not None:
        return _("Cancellation was already requested")
    return ""


def why_not_retry(job: Job) -> str:
    """Say why the job can't be retried."""
    return "" if job.state in RETRYABLE_STATES else _("Only a failed or canceled job can be retried")
