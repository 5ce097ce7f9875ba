"""What one job can do to many key groups: for each of them, by a job of an ordinary kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from jobs.kinds.check_drift import spec as check_drift
from jobs.kinds.cloud_delete import spec as cloud_delete
from jobs.kinds.rotate import spec as rotate
from jobs.kinds.set_enabled import spec as set_enabled
from jobs.kinds.synchronize import spec as synchronize
from jobs.models import Job
from jobs.planning import blockers
from jobs.spec import Given, Text
from keygroups.choices import STORED_VERSION_STATES, VersionState
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.errors import ConflictError


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing that can be done to many key groups.

    Attributes:
        kind: the kind of the job that is opened for each group.
        label: the menu's entry, in the words of the entry for one group.
        title: what the confirmation is called, with the number of groups.
        order: its place in the menu.
        why_not: says why it can't be done to a group now; "" when it can.
        effects: what happens to each group, in order.
        freeze: returns, by group id, what the job of each group may act on, as it is when many are asked for.
        request: asks for the job of one group, with what was frozen for it.
        outcomes: says what becomes of each group, by its id, from what was frozen, for those who approve it; None where
            no policy can be about it.
        danger: whether it ends the use of keys, so that the number of groups has to be typed.

    """

    kind: str
    label: Text
    title: Text
    order: int
    why_not: Callable[[KeyGroup], str]
    effects: tuple[Text, ...]
    freeze: Callable[[Sequence[KeyGroup]], dict[str, Any]]
    request: Callable[[KeyGroup, Any, Given], Job]
    outcomes: Callable[[Mapping[str, Any]], dict[str, str]] | None
    danger: bool = False

    @property
    def is_frozen(self) -> bool:
        """Return whether a job may act on nothing but what was there when it was asked for."""
        return self.freeze is not _freeze_nothing


def _freeze_nothing(_groups: Sequence[KeyGroup]) -> dict[str, Any]:
    return {}


def _rotate(group: KeyGroup, _frozen: None, given: Given) -> Job:
    return rotate.request_rotation(group=group, **given)


def _synchronize(group: KeyGroup, _frozen: None, given: Given) -> Job:
    keys = synchronize.keys_to_synchronize(group)
    if not keys:
        raise ConflictError(_("All keys are synchronized already."))
    return synchronize.request_synchronize(keys=keys, **given)


def _check_drift(group: KeyGroup, _frozen: None, given: Given) -> Job:
    return check_drift.request_check_drift(group=group, **given)


def _changed_since(group: KeyGroup) -> ConflictError:
    return ConflictError(
        _("“%(name)s” has other versions in the vault than when this was asked for.") % {"name": group.azure_name},
        _("Check the key group, and start again if it is still wanted."),
    )


def _why_not_disable(group: KeyGroup) -> str:
    situation = blockers.situation_of_group(group)
    if not situation.has_active_version:
        return _("The group has no active version in the vault")
    return blockers.busy_text(situation.open_job)


def _active_versions(groups: Sequence[KeyGroup]) -> dict[str, Any]:
    rows = CloudVersion.objects.filter(group__in=groups, state=VersionState.ACTIVE).values_list("group", "pk")
    return {str(group_id): str(version_id) for group_id, version_id in rows}


def _disable(group: KeyGroup, frozen: str | None, given: Given) -> Job:
    version = group.cloud_versions.filter(state=VersionState.ACTIVE).select_related("key").first()
    if version is None or str(version.pk) != frozen:
        raise _changed_since(group)
    return set_enabled.request_set_enabled(version=version, enabled=False, **given)


def _disabled_versions(frozen: Mapping[str, Any]) -> dict[str, str]:
    names = dict(CloudVersion.objects.filter(pk__in=frozen.values()).values_list("pk", "azure_version"))
    known = {str(pk): name for pk, name in names.items()}
    return {
        group_id: _("version %(version)s is disabled") % {"version": known.get(version, "–")}
        for group_id, version in frozen.items()
    }


def _stored_versions(groups: Sequence[KeyGroup]) -> dict[str, Any]:
    found: dict[str, Any] = {str(group.pk): [] for group in groups}
    rows = CloudVersion.objects.filter(group__in=groups, state__in=STORED_VERSION_STATES).order_by("azure_version")
    for group_id, version in rows.values_list("group", "azure_version"):
        found[str(group_id)].append(version)
    return found


def _deleted_versions(frozen: Mapping[str, Any]) -> dict[str, str]:
    return {
        group_id: ngettext("deleted with its %(count)d version", "deleted with all %(count)d versions", len(versions))
        % {"count": len(versions)}
        for group_id, versions in frozen.items()
    }


def _delete(group: KeyGroup, frozen: list[str] | None, given: Given) -> Job:
    if _stored_versions([group])[str(group.pk)] != frozen:
        raise _changed_since(group)
    return cloud_delete.request_cloud_delete(group=group, **given)


_OPERATIONS = (
    Operation(
        kind=rotate.KIND,
        label=gettext_lazy("Force Rotation"),
        title=ngettext_lazy("Force rotation of %(count)d key group", "Force rotation of %(count)d key groups", "count"),
        order=10,
        why_not=blockers.why_not_rotate,
        effects=(
            gettext_lazy("A new key is made in the HSM for each group, named after the group and the time."),
            gettext_lazy(
                "It is wrapped under an ephemeral KEK of its vault, and the vault imports it as a new version."
            ),
            gettext_lazy("The new version becomes active; older ones stay in the vault as superseded."),
        ),
        freeze=_freeze_nothing,
        request=_rotate,
        outcomes=None,
    ),
    Operation(
        kind=synchronize.KIND,
        label=gettext_lazy("Synchronize"),
        title=ngettext_lazy("Synchronize %(count)d key group", "Synchronize %(count)d key groups", "count"),
        order=20,
        why_not=blockers.why_not_synchronize_all,
        effects=(
            gettext_lazy("The keys of each group that its vault does not hold are wrapped in the HSM and imported."),
            gettext_lazy("In each group the newest version becomes active; older ones stay as superseded."),
        ),
        freeze=_freeze_nothing,
        request=_synchronize,
        outcomes=None,
    ),
    Operation(
        kind=check_drift.KIND,
        label=gettext_lazy("Check Drift"),
        title=ngettext_lazy("Check drift of %(count)d key group", "Check drift of %(count)d key groups", "count"),
        order=30,
        why_not=blockers.why_not_check_drift,
        effects=(
            gettext_lazy("The versions in each vault are read and compared with what is known here."),
            gettext_lazy("Nothing is changed in a vault; differences show on the key group."),
        ),
        freeze=_freeze_nothing,
        request=_check_drift,
        outcomes=None,
    ),
    Operation(
        kind=set_enabled.KIND,
        label=gettext_lazy("Disable"),
        title=ngettext_lazy(
            "Disable active version of %(count)d key group", "Disable active versions of %(count)d key groups", "count"
        ),
        order=50,
        why_not=_why_not_disable,
        effects=(
            gettext_lazy("The active version of each group is disabled: the vault refuses every use of it."),
            gettext_lazy(
                "Whoever names a key without a version fails: the vault does not fall back to an older version. What is "
                "encrypted with it can't be read until it is enabled again."
            ),
            gettext_lazy("Other versions and the keys here stay as they are."),
        ),
        freeze=_active_versions,
        request=_disable,
        outcomes=_disabled_versions,
        danger=True,
    ),
    Operation(
        kind=cloud_delete.KIND,
        label=gettext_lazy("Delete (cloud)"),
        title=ngettext_lazy(
            "Delete the Azure key of %(count)d key group", "Delete the Azure keys of %(count)d key groups", "count"
        ),
        order=60,
        why_not=blockers.why_not_delete,
        effects=(
            gettext_lazy("Each Azure key is deleted with all its versions. What uses it stops working."),
            gettext_lazy(
                "Where a vault soft-deletes, the key can be recovered until its retention ends, and its name stays taken."
            ),
            gettext_lazy("Keys here, in the HSM's keeping, stay and can be synchronized again."),
        ),
        freeze=_stored_versions,
        request=_delete,
        outcomes=_deleted_versions,
        danger=True,
    ),
)
OPERATIONS: dict[str, Operation] = {operation.kind: operation for operation in _OPERATIONS}
