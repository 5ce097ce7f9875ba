"""Asking for work on keys: each function checks the right and what can be known now, and opens the job.

Nothing here touches the device or Azure. What only asks and changes nothing is in ``inquiries``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from hsm.services import designated_device
from jobs.choices import FINAL_STATES, JobKind
from jobs.engine import hints, lifecycle
from jobs.engine.creation import NewJob, create_job, subject_of
from jobs.models import Job
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import GroupCloudState, KeyState
from keygroups.drift import is_repairable
from keygroups.models import CloudVersion, Key, KeyGroup, Observation
from keygroups.rotation import rotated_key_name
from kmes.accounts.rights import Right, check
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError
from logging_reports.services import record

MAX_KEY_NAME = 160


def _require_device() -> None:
    """Refuse work that needs the HSM while no device is designated (KMES.md, "Push")."""
    designated_device()


def request_create_keys(
    *, group: KeyGroup, names: list[str], actor: Actor, idempotency_key: str = "", retry_of: Job | None = None
) -> Job:
    """Ask for new keys in the HSM.

    Raises:
        InputError: a name is empty, too long, or taken in the group (field "name").

    """
    check(actor, Right.KEY_CREATE)
    _require_device()
    clean = [name.strip() for name in names]
    for name in clean:
        if not name:
            raise InputError(_("The key needs a name."), _("Type any name."), field="name")
        if len(name) > MAX_KEY_NAME or not name.isprintable():
            raise InputError(
                _("A key name has at most %(max)d characters, all printable.") % {"max": MAX_KEY_NAME},
                _("Shorten the name or remove line breaks."),
                field="name",
            )
        if group.keys.filter(name__iexact=name).exists():
            raise InputError(
                _("The group has a key “%(name)s” already.") % {"name": name}, _("Choose another name."), field="name"
            )
    if len({name.lower() for name in clean}) != len(clean):
        raise InputError(_("Each name can be given once only."), field="name")
    new = NewJob(JobKind.CREATE, ", ".join(clean), group=group, params={"names": clean}, retry_of=retry_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def request_synchronize(
    *, keys: Sequence[Key], actor: Actor, idempotency_key: str = "", retry_of: Job | None = None
) -> Job:
    """Ask for keys to be pushed to the vaults of their groups, in one job.

    Raises:
        ConflictError: a key is destroyed, in the vault already, or being pushed by another job.

    """
    check(actor, Right.KEY_PUSH)
    _require_device()
    if not keys:
        raise ConflictError(_("There is no key to synchronize."), _("Create a key in the group first."))
    groups = {key.group_id: key.group for key in keys}
    for group in groups.values():
        _refuse_deleted_group(group)
    ordered = sorted(keys, key=lambda key: (key.created_at, key.name))
    only = keys[0].group if len(groups) == 1 else None

    def begin() -> None:
        key_lifecycle.begin_pushes(ordered)

    new = NewJob(
        JobKind.SYNCHRONIZE,
        _name_keys(ordered),
        group=only,
        keys=ordered,
        params={} if only else {"groups": len(groups)},
        azure_lock=only.azure_lock if only else "",
        retry_of=retry_of,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key, before=begin)


def _name_keys(keys: Sequence[Key]) -> str:
    """Return what a job on these keys is about: the key's name, or how many there are."""
    if len(keys) == 1:
        return keys[0].name
    groups = len({key.group_id for key in keys})
    with language.of_records():
        text = ngettext("%d key", "%d keys", len(keys)) % len(keys)
        return text if groups == 1 else _("%(keys)s in %(count)d key groups") % {"keys": text, "count": groups}


def keys_to_synchronize(group: KeyGroup) -> list[Key]:
    """Return the group's present keys that the vault does not hold, oldest first."""
    return list(
        group.keys.filter(state=KeyState.PRESENT)
        .exclude(cloud_versions__state__in=[*key_lifecycle.LIVE_STATES, "pushing", "soft_deleted"])
        .order_by("created_at", "name")
    )


def _refuse_deleted_group(group: KeyGroup) -> None:
    if group.cloud_state == GroupCloudState.SOFT_DELETED:
        raise ConflictError(
            _("The Azure key “%(key)s” is deleted but recoverable, so its name can't be used.")
            % {"key": group.azure_name},
            _("Recover it (Cloud > Recover) or purge it (Cloud > Purge) first."),
        )


def request_rotation(*, group: KeyGroup, actor: Actor, idempotency_key: str = "", retry_of: Job | None = None) -> Job:
    """Ask for a new key in the HSM that is pushed and becomes the group's active version."""
    check(actor, Right.KEY_ROTATE)
    if actor.user_id is not None:
        _require_device()
    _refuse_deleted_group(group)
    busy = Job.objects.filter(group=group, kind=JobKind.ROTATE).exclude(state__in=FINAL_STATES).first()
    if busy is not None and (not idempotency_key or busy.idempotency_key != idempotency_key):
        raise ConflictError(
            _("Job %(job)s is rotating this key group already.") % {"job": busy}, _("Wait until it has ended.")
        )
    params: dict[str, Any] = {}
    if retry_of is not None:
        # The failed try may have made its key: the retry pushes that one.
        params = {"name": retry_of.params.get("name"), "resume_key": retry_of.params.get("resume_key")}
        made = retry_of.targets.filter(key__state=KeyState.PRESENT).select_related("key").first()
        if made is not None:
            params = {"name": made.key.name, "resume_key": str(made.key_id)}
    if not params.get("name"):
        taken = {name.casefold() for name in group.keys.values_list("name", flat=True)}
        params["name"] = rotated_key_name(group.name, now(), taken)
    new = NewJob(JobKind.ROTATE, group.name, group=group, params=params, azure_lock=group.azure_lock, retry_of=retry_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def request_set_enabled(
    *, version: CloudVersion, enabled: bool, actor: Actor, idempotency_key: str = "", retry_of: Job | None = None
) -> Job:
    """Ask for one version in the vault to be enabled or disabled."""
    check(actor, Right.KEY_DISABLE)
    if version.state not in key_lifecycle.LIVE_STATES:
        raise ConflictError(
            _("The vault holds no live version of key “%(key)s”.") % {"key": version.key.name},
            _("Synchronize the key first."),
        )
    new = NewJob(
        JobKind.SET_ENABLED,
        version.key.name,
        group=version.group,
        keys=[version.key],
        params={"version_id": str(version.pk), "enabled": enabled},
        azure_lock=version.group.azure_lock,
        retry_of=retry_of,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def _known_versions(group: KeyGroup) -> list[str]:
    """Return the Azure version ids last known, sorted: what a deletion may take with it."""
    states = [*key_lifecycle.LIVE_STATES, "soft_deleted"]
    return sorted(group.cloud_versions.filter(state__in=states).values_list("azure_version", flat=True))


def _request_on_azure_key(
    kind: JobKind,
    group: KeyGroup,
    right: Right,
    wanted: GroupCloudState,
    *,
    actor: Actor,
    idempotency_key: str,
    retry_of: Job | None,
    follows: Job | None = None,
    then: Sequence[dict[str, Any]] = (),
) -> Job:
    """Ask for a job on the whole Azure key, with what is known of it now as frozen precondition."""
    check(actor, right)
    group.refresh_from_db(fields=["cloud_state"])
    if group.cloud_state != wanted:
        raise ConflictError(
            _("The Azure key “%(key)s” is: %(state)s.")
            % {"key": group.azure_name, "state": group.get_cloud_state_display()},
            _("This action needs it to be: %(wanted)s.") % {"wanted": wanted.label},
        )
    new = NewJob(
        kind,
        group.azure_name,
        group=group,
        params={"versions": _known_versions(group), **({"then": list(then)} if then else {})},
        azure_lock=group.azure_lock,
        retry_of=retry_of,
        follows=follows,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def request_cloud_delete(
    *,
    group: KeyGroup,
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    then: Sequence[dict[str, Any]] = (),
) -> Job:
    """Ask for the whole Azure key to be deleted; keys here stay, unless ``then`` says what follows (``following``)."""
    return _request_on_azure_key(
        JobKind.CLOUD_DELETE,
        group,
        Right.CLOUD_DELETE,
        GroupCloudState.LIVE,
        actor=actor,
        idempotency_key=idempotency_key,
        retry_of=retry_of,
        then=then,
    )


def request_cloud_recover(
    *, group: KeyGroup, actor: Actor, idempotency_key: str = "", retry_of: Job | None = None
) -> Job:
    """Ask for a deleted Azure key to be recovered."""
    return _request_on_azure_key(
        JobKind.CLOUD_RECOVER,
        group,
        Right.CLOUD_DELETE,
        GroupCloudState.SOFT_DELETED,
        actor=actor,
        idempotency_key=idempotency_key,
        retry_of=retry_of,
    )


def request_cloud_purge(
    *,
    group: KeyGroup,
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    follows: Job | None = None,
    then: Sequence[dict[str, Any]] = (),
) -> Job:
    """Ask for a deleted Azure key to be purged; that can't be undone."""
    if group.vault.is_purge_protected:
        raise ConflictError(
            _("The vault “%(vault)s” has purge protection.") % {"vault": group.vault.name},
            _("Azure purges the key by itself when the retention period ends; until then it can be recovered."),
        )
    return _request_on_azure_key(
        JobKind.CLOUD_PURGE,
        group,
        Right.CLOUD_PURGE,
        GroupCloudState.SOFT_DELETED,
        actor=actor,
        idempotency_key=idempotency_key,
        retry_of=retry_of,
        follows=follows,
        then=then,
    )


def request_destroy(
    *,
    keys: Sequence[Key],
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    follows: Job | None = None,
) -> Job:
    """Ask for key material here to be destroyed; what stands in the vault stays."""
    check(actor, Right.KEY_DESTROY)
    for key in keys:
        if key.state != KeyState.PRESENT:
            raise ConflictError(_("Key “%(key)s” was destroyed already.") % {"key": key.name})
    if not keys:
        raise ConflictError(_("There is no key to destroy."))
    only = keys[0].group if len({key.group_id for key in keys}) == 1 else None
    new = NewJob(JobKind.DESTROY, _name_keys(keys), group=only, keys=keys, retry_of=retry_of, follows=follows)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def request_repair(
    *, observations: Sequence[Observation], actor: Actor, idempotency_key: str = "", retry_of: Job | None = None
) -> Job:
    """Ask for versions in the vault to be set back to what is known here; those others made are disabled.

    Raises:
        ConflictError: nothing differs that can be set back.

    """
    check(actor, Right.KEY_DISABLE)
    wanted = [row for row in observations if is_repairable(row)]
    if not wanted:
        raise ConflictError(_("Nothing differs that can be set back."), _("Run Cloud > Check Drift and look again."))
    group = wanted[0].group
    keys = [row.version.key for row in wanted if row.version is not None]
    strangers = [row.azure_version for row in wanted if row.version is None]
    new = NewJob(
        JobKind.REPAIR,
        keys[0].name if len(keys) == 1 and not strangers else group.name,
        group=group,
        keys=keys,
        params={"strangers": strangers},
        azure_lock=group.azure_lock,
        retry_of=retry_of,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def request_cancel(*, job: Job, actor: Actor) -> Job:
    """Cancel a job: at once if it has not begun, else at the next safe point."""
    check(actor, Right.JOB_CANCEL)
    with transaction.atomic():
        event = "job.cancelled" if lifecycle.cancel_queued(job, by=actor.name) else "job.cancel_requested"
        if event == "job.cancelled":
            for target in job.targets.select_related("key"):
                key_lifecycle.fail_push(key=target.key)
        elif not lifecycle.ask_to_cancel(job, by=actor.name):
            raise ConflictError(_("The job has ended already."), _("Reload the page."))
        record(
            event,
            actor=actor,
            message=f"{job.recorded_title}: {job.subject}",
            subject=subject_of(job),
            job_id=job.pk,
            job_code=job.code,
        )
        if event == "job.cancel_requested":
            hints.send_on_commit(job.pk)
    job.refresh_from_db()
    return job
