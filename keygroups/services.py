"""Changes of key groups. Jobs make and push keys; states change in ``keygroups.lifecycle`` only.

Each function checks the right, writes in one transaction with its log row, and raises KmesError.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.deletion import ProtectedError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.models import KeyVault
from cloudcreds.vaults import as_last_seen, choose_premium, find_or_create_vault, why_not_hsm_keys
from hsm.signed_saves import next_number
from keygroups import destinations, drift, lifecycle
from keygroups.choices import Drift, VersionState
from keygroups.fields import own_tags, type_of
from keygroups.models import Key, KeyGroup, Observation
from keygroups.policy import period_text
from keygroups.values import GroupChangedError, GroupValues, differences, readable
from kmes.accounts.delegation import check_moves
from kmes.accounts.rights import Right, check, check_somewhere
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError
from kmes.core.guarded_changes import require_approval
from logging_reports.services import Subject, record

_SCHEDULE_FIELDS = frozenset({"rotate", "rotate_every", "rotate_unit"})


def subject_of(group: KeyGroup, key: Key | None = None) -> Subject:
    """Return the plain labels a log row about this group, or a key in it, carries."""
    return Subject(
        credential_id=str(group.credential_id),
        credential=group.credential.name,
        vault=group.vault.name,
        group_id=str(group.pk),
        group=group.name,
        key_id=str(key.pk) if key else "",
        key=key.name if key else "",
    )


def create_group(*, values: GroupValues, actor: Actor) -> KeyGroup:
    """Create a key group. Its first rotation falls due one period from now. Nothing is pushed.

    Raises:
        PermissionRefused: the actor may not manage groups in the vault, or would give rights by its tags that they lack.
        InputError: a value can't be used; ``field`` names it.

    """
    check_somewhere(actor, Right.GROUP_MANAGE)
    values = values.cleaned()
    _refuse_taken(values)
    try:
        with transaction.atomic():
            vault = find_or_create_vault(url=values.vault, credential=values.credential)
            # A scope of tags or groups covers none that is still to be made: it would reach into vaults of others.
            check(actor, Right.GROUP_MANAGE, vault)
            _refuse_standard(vault)
            group = KeyGroup.objects.create(**values.plain(), credential=values.credential, vault=vault)
            check_moves(actor, *vault.places, *group.places, of=group.name)
            lifecycle.schedule_rotation(group=group, anchor_at=now())
            destinations.sign_new(group, actor=actor)
            record(
                "group.created",
                actor=actor,
                message=f"Key group {group.name} created",
                subject=subject_of(group),
                data=_recorded(values),
            )
            require_approval("group.create", values.as_json(), actor=actor)
    except IntegrityError as error:
        raise _conflict_of(values, error) from error
    return group


def update_group(*, group: KeyGroup, values: GroupValues, lock_version: int, actor: Actor) -> KeyGroup:
    """Change a group that is still as its editor saw it (``lock_version``); return the new row.

    A changed rotation counts from now. Keys that exist keep what they were made and pushed with.

    Raises:
        PermissionRefused: the actor may not manage the group, as it is or as it is to be, or not in the vault whose Azure
            key it is to name, or would give rights by the change of vault or tags that they lack.
        InputError: a value can't be used, or can't change any more; ``field`` names it.
        GroupChangedError: somebody else saved it meanwhile; nothing is overwritten.
        StrangeDestination: its row is not as this console saved it.

    """
    check(actor, Right.GROUP_MANAGE, group)
    values = values.cleaned()
    try:
        with transaction.atomic():
            current = _locked(group)
            check(actor, Right.GROUP_MANAGE, current)
            if current.lock_version != lock_version:
                raise GroupChangedError(current, differences(current, values))
            _refuse_fixed(current, values)
            _refuse_taken(values, except_for=current)
            with destinations.changing(current, actor=actor):
                updated = _update(current, values, actor)
            # In both places, or a group could be moved into a vault of others.
            check(actor, Right.GROUP_MANAGE, updated)
            if _azure_place(current) != _azure_place(updated):
                # As for a new group: a scope of tags or groups says nothing of what else lies in the vault.
                check(actor, Right.GROUP_MANAGE, updated.vault)
            check_moves(actor, *current.places, *updated.places, of=current.name)
            if _azure_place(current) != _azure_place(updated):
                asked = {"group": str(current.pk), "lock_version": lock_version, **values.as_json()}
                require_approval("group.update", asked, actor=actor)
            return updated
    except IntegrityError as error:
        raise _conflict_of(values, error, except_for=group) from error


def stop_rotation(*, group: KeyGroup, actor: Actor) -> None:
    """Switch Rotate Key off, so that keys are made and pushed only when somebody asks.

    Raises:
        PermissionRefused: the actor may not manage groups.

    """
    check(actor, Right.GROUP_MANAGE, group)
    with transaction.atomic():
        if not KeyGroup.objects.filter(pk=group.pk, rotate=True).update(
            rotate=False, updated_at=now(), lock_version=F("lock_version") + 1
        ):
            return
        stopped = KeyGroup.objects.select_related("credential", "vault").get(pk=group.pk)
        lifecycle.schedule_rotation(group=stopped, anchor_at=now())
        with language.of_records():
            before = period_text(stopped.rotate_every, stopped.rotate_unit)
        record(
            "group.updated",
            actor=actor,
            message=f"Key group {stopped.name} updated",
            subject=subject_of(stopped),
            data={"changed": {"rotation": [before, _recorded(stopped)["rotation"]]}},
        )


def delete_group(*, group: KeyGroup, actor: Actor) -> None:
    """Delete a group that never had keys. Nothing in Azure is touched.

    Raises:
        PermissionRefused: the actor may not manage groups.
        ConflictError: the group has keys, or was deleted already.

    """
    check(actor, Right.GROUP_MANAGE, group)
    try:
        with transaction.atomic():
            current = _locked(group)
            if reason := why_not_delete(current):
                raise ConflictError(reason, _("To take the group out of use, edit it and switch Rotate Key off."))
            subject = subject_of(current)
            number = next_number(destinations.claim_of_group(current).facts)
            current.delete()
            record(
                "group.deleted",
                actor=actor,
                message=f"Key group {subject.group} deleted; Azure was not touched",
                subject=subject,
                # The number, so that the row can't be put back.
                data=_recorded(current) | {"number": number},
            )
    except ProtectedError as error:
        raise ConflictError(
            _("“%(name)s” just got its first key and can't be deleted any more.") % {"name": group.name},
            _("Reload the page."),
        ) from error


def accept_drift(*, observation: Observation, actor: Actor) -> None:
    """Accept what the vault shows of a version. One that was made outside this console is not reported again.

    Raises:
        PermissionRefused: the actor may not decide about versions.
        ConflictError: there is no difference, or none that can be accepted.

    """
    check(actor, Right.KEY_DISABLE, observation)
    with transaction.atomic():
        row = Observation.objects.select_related("group__credential", "group__vault", "version__key").get(
            pk=observation.pk
        )
        if reason := why_not_accept(row):
            raise ConflictError(reason, _("Reload the page and check the difference."))
        if row.version is None:
            Observation.objects.filter(pk=row.pk).update(is_accepted=True)
        else:
            lifecycle.record_accepted(
                version=row.version,
                enabled=bool(row.enabled),
                expires_at=row.expires_on,
                not_before=row.not_before,
                operations=row.operations,
                tags=own_tags(row.tags),
            )
            Observation.objects.filter(pk=row.pk).update(flags=[])
        drift.recount(row.group)
        record(
            "key.drift_accepted",
            actor=actor,
            message=f"Version {row.azure_version} accepted as the vault shows it",
            subject=subject_of(row.group, row.version.key if row.version else None),
            data={"version": row.azure_version, "differences": row.flags},
        )


def why_not_accept(row: Observation) -> str:
    """Return why a difference can't be accepted; "" when it can."""
    if not row.flags or row.is_accepted:
        return _("Nothing differs here any more.")
    if Drift.MATERIAL in row.flags:
        return _("The vault holds other key material under this version, which can't be accepted.")
    if Drift.MISSING in row.flags:
        return _("The version is missing in the vault and recorded so.")
    return ""


def why_not_delete(group: KeyGroup) -> str:
    """Return why the group can't be deleted; "" when it can. Destroyed keys count, because they are evidence."""
    keys = group.keys.count()
    if not keys:
        return ""
    return ngettext(
        "“%(name)s” has %(count)d key; what was made and pushed stays on record, destroyed keys too.",
        "“%(name)s” has %(count)d keys; what was made and pushed stays on record, destroyed keys too.",
        keys,
    ) % {"name": group.name, "count": keys}


def has_keys(group: KeyGroup) -> bool:
    """Return whether the group has keys, so that its key type can't change."""
    return group.keys.exists()


def has_been_pushed(group: KeyGroup) -> bool:
    """Return whether a key was pushed or is being pushed, so that the place in Azure can't change."""
    return group.cloud_versions.exclude(state=VersionState.FAILED).exists()


def _azure_place(group: KeyGroup) -> tuple[object, ...]:
    """Return which Azure key the group names, and through which credential."""
    return group.vault_id, group.credential_id, group.azure_name


def _locked(group: KeyGroup) -> KeyGroup:
    """Return the row, locked until the commit, so that no key or version is added meanwhile."""
    rows = KeyGroup.objects.select_for_update(of=("self",)).select_related("credential", "vault")
    try:
        return rows.get(pk=group.pk)
    except KeyGroup.DoesNotExist:
        raise ConflictError(
            _("“%(name)s” was deleted meanwhile.") % {"name": group.name}, _("Go back to the list of key groups.")
        ) from None


def _refuse_fixed(current: KeyGroup, values: GroupValues) -> None:
    """Refuse to change what keys or versions already rely on."""
    if type_of(current.key_spec) != type_of(values.key_spec) and has_keys(current):
        raise InputError(
            _("The key type can't change: the group has keys of type %(type)s.")
            % {"type": type_of(current.key_spec).label},
            _("Make another key group."),
            field="key_type",
        )
    moved = {
        "credential": values.credential.pk != current.credential_id,
        "vault": values.vault.lower() != current.vault.url.rstrip("/").lower(),
        "azure_name": values.azure_name != current.azure_name,
    }
    if any(moved.values()) and has_been_pushed(current):
        raise InputError(
            _("This can't change: keys were pushed to “%(name)s” in %(vault)s.")
            % {"name": current.azure_name, "vault": current.vault.name},
            _("Make another key group for the other place."),
            field=next(name for name, is_moved in moved.items() if is_moved),
        )


def _update(current: KeyGroup, values: GroupValues, actor: Actor) -> KeyGroup:
    """Write what changed, reset the schedule if its policy changed, and log old and new values."""
    before, vault = _recorded(current), find_or_create_vault(url=values.vault, credential=values.credential)
    if vault.pk != current.vault_id:
        _refuse_standard(vault)
    writes: dict[str, Any] = {**values.plain(), "credential_id": values.credential.pk, "vault_id": vault.pk}
    changed = {name for name, value in writes.items() if getattr(current, name) != value}
    if not changed:
        return current
    KeyGroup.objects.filter(pk=current.pk).update(**writes, updated_at=now(), lock_version=F("lock_version") + 1)
    updated = KeyGroup.objects.select_related("credential", "vault").get(pk=current.pk)
    if changed & _SCHEDULE_FIELDS:
        lifecycle.schedule_rotation(group=updated, anchor_at=now())
    after = _recorded(updated)
    record(
        "group.updated",
        actor=actor,
        message=f"Key group {updated.name} updated",
        subject=subject_of(updated),
        data={"changed": {name: [before[name], after[name]] for name in before if before[name] != after[name]}},
    )
    return updated


def _refuse_standard(vault: KeyVault) -> None:
    """Refuse to choose a vault that can't hold the group's keys."""
    if reason := why_not_hsm_keys(as_last_seen(vault)):
        raise InputError(f"{reason}.", choose_premium(), field="vault")


def _refuse_taken(values: GroupValues, *, except_for: KeyGroup | None = None) -> None:
    others = KeyGroup.objects.exclude(pk=except_for.pk) if except_for is not None else KeyGroup.objects.all()
    if others.filter(name__iexact=values.name).exists():
        raise _name_taken()
    # By URL: the same vault may be known through several credentials.
    same_vault = KeyVault.objects.filter(url__in=[values.vault, f"{values.vault}/"])
    other = others.filter(vault__in=same_vault, azure_name__iexact=values.azure_name).first()
    if other is not None:
        raise _azure_key_taken(other.name)


def _name_taken() -> InputError:
    return InputError(
        _("A key group of this name exists already."),
        _("Choose another name; upper and lower case make no difference."),
        field="name",
    )


def _azure_key_taken(name: str) -> InputError:
    return InputError(
        _("Key group “%(name)s” uses this Azure key name in the same vault.") % {"name": name},
        _("Choose another one; one Azure key belongs to one group, and Azure ignores upper and lower case."),
        field="azure_name",
    )


def _conflict_of(values: GroupValues, error: IntegrityError, *, except_for: KeyGroup | None = None) -> InputError:
    """Return the error of the rule that two simultaneous saves violated; raise any other error again."""
    try:
        _refuse_taken(values, except_for=except_for)
    except InputError as refusal:
        return refusal
    raise error


def recorded_rotation(group: KeyGroup) -> str:
    """Return how often a group rotates, as rows of the log say it."""
    return _recorded(group)["rotation"]


def _recorded(values: KeyGroup | GroupValues) -> dict[str, str]:
    with language.of_records():
        return readable(values)
