"""The only writer of the state of groups, keys and cloud versions.

Each move is a conditional UPDATE: it says which states it may start from, and a move that finds
another state changes nothing and raises ``ConflictError``. The caller brings the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from keygroups.choices import (
    ENDED_VERSION_STATES,
    LIVE_VERSION_STATES,
    STORED_VERSION_STATES,
    GroupCloudState,
    KeyState,
    VersionState,
)
from keygroups.models import CloudVersion, Key, KeyGroup, Observation
from keygroups.rotation_schedule import next_due
from keygroups.version_moves import Pushed, sources
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from kmes.core.row_updates import update_each


def _move(version: CloudVersion, target: str, *, may_stay: bool = False, **values: object) -> None:
    """Move one version. Raise ConflictError if it is in a state from which it may not move there."""
    allowed = [*sources(target), target] if may_stay else sources(target)
    if not CloudVersion.objects.filter(pk=version.pk, state__in=allowed).update(
        state=target, updated_at=now(), **values
    ):
        version.refresh_from_db(fields=["state"])
        raise _refusal(version, target)
    version.state = target
    for name, value in values.items():
        setattr(version, name, value)


def _refusal(version: CloudVersion, target: str) -> ConflictError:
    return ConflictError(
        _("The version of key “%(key)s” is %(state)s and can't become %(target)s.")
        % {"key": version.key.name, "state": version.get_state_display(), "target": VersionState(target).label},
        _("Reload the page and check its state."),
    )


def begin_push(*, key: Key, is_in_vault: bool = False) -> CloudVersion:
    """Mark a key as being pushed to its group's vault.

    ``is_in_vault``: it was found in the vault, so it is recorded even if it was destroyed here.

    Raises:
        ConflictError: the key is destroyed, or is in the vault or on its way already.

    """
    return _begin([key])[0] if is_in_vault else begin_pushes([key])[0]


def begin_pushes(keys: Sequence[Key]) -> list[CloudVersion]:
    """Mark keys as being pushed to the vaults of their groups, all or none. A few queries per group.

    Raises:
        ConflictError: a key is destroyed, or is in the vault or on its way already.

    """
    destroyed = Key.objects.filter(pk__in=[key.pk for key in keys]).exclude(state=KeyState.PRESENT).first()
    if destroyed is not None:
        raise ConflictError(
            _("Key “%(key)s” was destroyed and can't be synchronized.") % {"key": destroyed.name},
            _("Create a new key in the group."),
        )
    return _begin(keys)


def _begin(keys: Sequence[Key]) -> list[CloudVersion]:
    groups = {key.group_id: key.group for key in keys}
    try:
        with transaction.atomic():
            for group in groups.values():
                _lock_target(group)
            return CloudVersion.objects.bulk_create(_pushing(key, groups[key.group_id]) for key in keys)
    except IntegrityError:
        living = CloudVersion.objects.filter(key__in=keys).exclude(state__in=ENDED_VERSION_STATES)
        barred = living.select_related("key").first()
        name, state = (barred.key.name, barred.get_state_display()) if barred else (keys[0].name, "")
        raise ConflictError(
            _("Key “%(key)s” is synchronized already, or on its way (%(state)s).") % {"key": name, "state": state},
            _("See the key's properties for its version and its last job."),
        ) from None


def _pushing(key: Key, group: KeyGroup) -> CloudVersion:
    return CloudVersion(
        key=key,
        group=group,
        vault=group.vault,
        azure_name=group.azure_name,
        state=VersionState.PUSHING,
        enabled=group.enabled_on_push,
        wanted_enabled=group.enabled_on_push,
    )


def _lock_target(group: KeyGroup) -> None:
    """Refuse a group whose vault or Azure key name was changed since it was loaded. Lock it until the commit."""
    place = KeyGroup.objects.select_for_update().values_list("vault_id", "azure_name").get(pk=group.pk)
    if place != (group.vault_id, group.azure_name):
        raise ConflictError(
            _("The place of key group “%(name)s” in Azure just changed.") % {"name": group.name},
            _("Reload the page and try again."),
        )


def record_pushed(pushed: Sequence[Pushed]) -> None:
    """Record that the vault holds these versions of one group, oldest first. The last one becomes active.

    Those before it, and the group's former active version, become superseded in the same transaction.
    The number of queries does not depend on the number of versions.

    Raises:
        ConflictError: a version is no longer on its way; nothing is recorded.

    """
    if not pushed:
        return
    group_id, *others = {each.version.group_id for each in pushed}
    if others:
        message = "versions of several groups are recorded group by group"
        raise ValueError(message)
    with transaction.atomic():
        mine = [each.version.pk for each in pushed]
        _supersede_others(group_id, mine)
        for ordinal, each in enumerate(pushed, _next_ordinal(group_id)):
            each.version.ordinal = ordinal
        for target in (VersionState.SUPERSEDED, VersionState.DISABLED, VersionState.ACTIVE):
            _move_pushed([each for each in pushed if _state_after(each, pushed[-1]) == target], target)
        # Azure calls the version current that was created last, enabled or not (docs/azure.md#lifecycle).
        KeyGroup.objects.filter(pk=group_id).update(current_version=pushed[-1].azure_version)
        KeyGroup.objects.filter(pk=group_id).exclude(cloud_state=GroupCloudState.LIVE).update(
            cloud_state=GroupCloudState.LIVE, deleted_in_cloud_at=None, scheduled_purge_at=None, updated_at=now()
        )


def _next_ordinal(group_id: UUID) -> int:
    newest = CloudVersion.objects.filter(group=group_id).aggregate(newest=Max("ordinal"))["newest"]
    return (newest or 0) + 1


def _state_after(each: Pushed, newest: Pushed) -> VersionState:
    if not each.enabled:
        return VersionState.DISABLED
    return VersionState.ACTIVE if each is newest else VersionState.SUPERSEDED


_OF_PUSHED = (
    *("azure_version", "kid", "pushed_at", "ordinal", "tags", "operations"),
    *("enabled", "wanted_enabled", "expires_at", "wanted_expires_at"),
)


def _move_pushed(pushed: Sequence[Pushed], target: VersionState) -> None:
    """Move pushing versions to their state in the vault, with the values that the vault returned."""
    if not pushed:
        return
    for each in pushed:
        version = each.version
        version.state, version.azure_version, version.kid = target, each.azure_version, each.kid
        version.pushed_at = each.pushed_at
        version.enabled = version.wanted_enabled = each.enabled
        version.expires_at = version.wanted_expires_at = each.expires_at
        version.operations, version.tags = list(each.operations), each.tags
    versions = [each.version for each in pushed]
    columns = {name: [getattr(version, name) for version in versions] for name in _OF_PUSHED}
    # Values that all rows share are written in one short statement.
    common = {name: values[0] for name, values in columns.items() if all(value == values[0] for value in values)}
    rows = CloudVersion.objects.filter(pk__in=[version.pk for version in versions])
    if rows.filter(state__in=sources(target)).update(state=target, updated_at=now(), **common) != len(versions):
        barred = rows.exclude(state=target).select_related("key").first()
        raise _refusal(barred or versions[0], target)
    update_each(versions, [name for name in columns if name not in common])


def replace_double(double: Pushed) -> None:
    """Record a second version of the same key, which is newer and therefore the current one."""
    version = double.version
    with transaction.atomic():
        _supersede_others(version.group_id, [version.pk])
        CloudVersion.objects.filter(pk=version.pk, state__in=LIVE_VERSION_STATES).update(
            state=VersionState.ACTIVE if double.enabled else VersionState.DISABLED,
            azure_version=double.azure_version,
            kid=double.kid,
            pushed_at=double.pushed_at,
            ordinal=_next_ordinal(version.group_id),
            enabled=double.enabled,
            wanted_enabled=double.enabled,
            expires_at=double.expires_at,
            wanted_expires_at=double.expires_at,
            not_before=None,
            wanted_not_before=None,
            differs=False,
            updated_at=now(),
        )
        KeyGroup.objects.filter(pk=version.group_id).update(current_version=double.azure_version)


def fail_push(*, key: Key) -> None:
    """Record that the push of a key failed. Without a pushing version nothing changes."""
    CloudVersion.objects.filter(key=key, state=VersionState.PUSHING).update(state=VersionState.FAILED, updated_at=now())


def record_enabled(*, version: CloudVersion, enabled: bool) -> None:
    """Record that a version was enabled or disabled in the vault as it is wanted here."""
    _place(version, enabled=enabled, wanted_enabled=enabled)


def record_seen(
    *,
    version: CloudVersion,
    enabled: bool,
    expires_at: datetime | None,
    not_before: datetime | None,
    differs: bool,
) -> None:
    """Record how the vault has a version now. What is wanted stays, so that a repair can set it back."""
    _place(version, enabled=enabled, expires_at=expires_at, not_before=not_before, differs=differs)


def _place(version: CloudVersion, *, enabled: bool, **values: object) -> None:
    """Move a version that the vault holds to its state there: disabled, active (the current one) or superseded."""
    target = VersionState.DISABLED
    if enabled:
        target = VersionState.ACTIVE if _is_current(version) else VersionState.SUPERSEDED
    with transaction.atomic():
        if target == VersionState.ACTIVE:
            _supersede_others(version.group_id, [version.pk])
        _move(version, target, may_stay=True, enabled=enabled, **values)


def _is_current(version: CloudVersion) -> bool:
    """Return whether the vault calls a version current; while that is unknown, whether it is our newest there."""
    named = KeyGroup.objects.values_list("current_version", flat=True).get(pk=version.group_id)
    if named:
        return version.azure_version == named
    others = CloudVersion.objects.filter(group=version.group_id, state__in=LIVE_VERSION_STATES).exclude(pk=version.pk)
    return not others.filter(ordinal__gt=version.ordinal).exists()


def _supersede_others(group_id: UUID, kept: Sequence[UUID]) -> None:
    active = CloudVersion.objects.filter(group=group_id, state=VersionState.ACTIVE).exclude(pk__in=kept)
    active.update(state=VersionState.SUPERSEDED, updated_at=now())


def record_current(*, group: KeyGroup, azure_version: str) -> None:
    """Record the version that the vault itself calls current. If it was not made here, no version is active."""
    with transaction.atomic():
        KeyGroup.objects.filter(pk=group.pk).update(current_version=azure_version)
        group.current_version = azure_version
        live = CloudVersion.objects.filter(group=group, state__in=LIVE_VERSION_STATES)
        current = live.filter(azure_version=azure_version).select_related("key").first()
        _supersede_others(group.pk, [current.pk] if current else [])
        if current is not None and current.enabled and current.state != VersionState.ACTIVE:
            _move(current, VersionState.ACTIVE, ordinal=_next_ordinal(group.pk))


def record_accepted(
    *,
    version: CloudVersion,
    enabled: bool,
    expires_at: datetime | None,
    not_before: datetime | None,
    operations: list[str],
    tags: dict[str, str],
) -> None:
    """Record as wanted what the vault shows of a version, after somebody accepted it."""
    seen = {"enabled": enabled, "expires_at": expires_at, "not_before": not_before}
    wanted = {f"wanted_{name}": value for name, value in seen.items()}
    _place(version, **seen, **wanted, operations=operations, tags=tags, differs=False)  # type: ignore[arg-type]


def record_tags(*, version: CloudVersion, tags: dict[str, str]) -> None:
    """Record the tags that people set on a version, as the vault has them now."""
    CloudVersion.objects.filter(pk=version.pk).update(tags=tags, updated_at=now())
    version.tags = tags


def record_deleted(*, group: KeyGroup, deleted_at: datetime, scheduled_purge_at: datetime | None) -> None:
    """Record that the whole Azure key was deleted; without a purge date it is purged."""
    recoverable = scheduled_purge_at is not None
    with transaction.atomic():
        CloudVersion.objects.filter(group=group, state__in=LIVE_VERSION_STATES).update(
            state=VersionState.SOFT_DELETED if recoverable else VersionState.PURGED, differs=False, updated_at=now()
        )
        _forget_observations(group)
        KeyGroup.objects.filter(pk=group.pk).update(
            cloud_state=GroupCloudState.SOFT_DELETED if recoverable else GroupCloudState.PURGED,
            deleted_in_cloud_at=deleted_at,
            scheduled_purge_at=scheduled_purge_at,
            differences=0,
            updated_at=now(),
            **({} if recoverable else {"current_version": ""}),
        )


def _forget_observations(group: KeyGroup) -> None:
    """Forget what was seen of the versions that are gone now. What was accepted stays accepted."""
    Observation.objects.filter(group=group, is_accepted=False).delete()


def record_recovered(*, group: KeyGroup) -> None:
    """Record that the deleted Azure key is live again, with the versions as they were.

    The vault calls the same version current as before. If that is disabled or was not made here, none is active.
    """
    with transaction.atomic():
        KeyGroup.objects.filter(pk=group.pk).update(
            cloud_state=GroupCloudState.LIVE, deleted_in_cloud_at=None, scheduled_purge_at=None, updated_at=now()
        )
        deleted = CloudVersion.objects.filter(group=group, state=VersionState.SOFT_DELETED)
        named = KeyGroup.objects.values_list("current_version", flat=True).get(pk=group.pk)
        current = (deleted.filter(azure_version=named) if named else deleted.order_by("-ordinal")).first()
        deleted.filter(enabled=False).update(state=VersionState.DISABLED, updated_at=now())
        deleted.filter(enabled=True).update(state=VersionState.SUPERSEDED, updated_at=now())
        if current is not None and current.enabled:
            CloudVersion.objects.filter(pk=current.pk).update(state=VersionState.ACTIVE, updated_at=now())


def record_purged(*, group: KeyGroup) -> None:
    """Record that the vault holds no version of the group's Azure key any more."""
    with transaction.atomic():
        CloudVersion.objects.filter(group=group, state__in=STORED_VERSION_STATES).update(
            state=VersionState.PURGED, differs=False, updated_at=now()
        )
        _forget_observations(group)
        KeyGroup.objects.filter(pk=group.pk).update(
            cloud_state=GroupCloudState.PURGED,
            current_version="",
            scheduled_purge_at=None,
            differences=0,
            updated_at=now(),
        )


def record_missing(*, version: CloudVersion) -> None:
    """Record that a version is not in the vault although it should be (drift)."""
    with transaction.atomic():
        _move(version, VersionState.MISSING, differs=True)
        # Which one is current instead is not known before the vault is asked.
        KeyGroup.objects.filter(pk=version.group_id, current_version=version.azure_version).update(current_version="")


def destroy_key(*, key: Key) -> None:
    """Erase a key's wrapped private half here. Nothing in the vault changes.

    Raises:
        ConflictError: the key is destroyed already, or is being synchronized.

    """
    if CloudVersion.objects.filter(key=key, state=VersionState.PUSHING).exists():
        raise ConflictError(
            _("Key “%(key)s” is being synchronized.") % {"key": key.name},
            _("Wait until its job has ended, or cancel the job."),
        )
    if not Key.objects.filter(pk=key.pk, state=KeyState.PRESENT).update(
        state=KeyState.DESTROYED, wrapped_private=b"", destroyed_at=now()
    ):
        raise ConflictError(_("Key “%(key)s” was destroyed already.") % {"key": key.name})


def schedule_rotation(*, group: KeyGroup, anchor_at: datetime, after: datetime | None = None) -> None:
    """Set the schedule's anchor, and by the policy the next due moment: the first one later than ``after``."""
    due = next_due(anchor_at, group.rotate_every, group.rotate_unit, after=after or anchor_at) if group.rotate else None
    KeyGroup.objects.filter(pk=group.pk).update(rotation_anchor_at=anchor_at, next_due_at=due, updated_at=now())
    group.rotation_anchor_at, group.next_due_at = anchor_at, due


def advance_schedule(*, group: KeyGroup, seen_due_at: datetime, new_due_at: datetime) -> bool:
    """Move the next due moment if it is still the one that was seen. Return whether it was."""
    return bool(
        KeyGroup.objects.filter(pk=group.pk, rotate=True, next_due_at=seen_due_at).update(
            next_due_at=new_due_at, updated_at=now()
        )
    )


def record_differences(*, group: KeyGroup, differences: int, is_compared: bool = False) -> None:
    """Record how many differences are open; ``is_compared``: all versions were just compared with the vault."""
    compared = {"compared_at": now()} if is_compared else {}
    KeyGroup.objects.filter(pk=group.pk).update(differences=differences, **compared)


def record_rotated(*, group: KeyGroup, at: datetime) -> None:
    """Record when a rotation succeeded. A failed one does not change the date."""
    KeyGroup.objects.filter(pk=group.pk).update(last_rotated_at=at, updated_at=now())
