"""Writes of roles: add, change, delete. Each with a log row that has old and new in words.

The built-in roles never change. So there is always a role with every right, and always an administrator who has it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from kmes.accounts import withdrawal
from kmes.accounts.delegation import begin_change, check_covers
from kmes.accounts.models import CustomRole
from kmes.accounts.rights import ROLE_RIGHTS, Right, Role
from kmes.accounts.roles.selectors import users_with
from kmes.accounts.roles.uses import find_uses
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError
from kmes.core.guarded_changes import require_approval
from kmes.core.right_names import name_rights
from kmes.core.typed_text import find_mixed_word, find_unreadable, fold, trim_label
from logging_reports.services import record

MOST_ROLES = 100
_CODE_BYTES = 5


@dataclass(frozen=True)
class RoleValues:
    """What a user enters about a role."""

    name: str
    description: str
    rights: frozenset[Right]
    needs_second_factor: bool


def create_role(*, values: RoleValues, actor: Actor, copied_from: str = "") -> CustomRole:
    """Add a role that nobody has yet. ``copied_from`` names, for the log, the role whose rights it began with.

    Raises:
        PermissionRefused: the actor may not manage roles, or lacks one of its rights.
        InputError: the name is taken or can't be read, or there are too many roles.

    """
    values = _clean(values)
    try:
        with transaction.atomic():
            held = begin_change(actor, Right.ROLE_MANAGE)
            check_covers(held, values.rights, of=values.name, actor=actor)
            _check_name(values.name)
            if CustomRole.objects.count() >= MOST_ROLES:
                raise InputError(
                    _("There are %(count)d roles already.") % {"count": MOST_ROLES}, _("Delete one first.")
                )
            require_approval("role.create", {**_as_json(values), "copied_from": copied_from}, actor=actor)
            role = CustomRole.objects.create(
                code=f"role-{secrets.token_hex(_CODE_BYTES)}",
                name=values.name,
                description=values.description,
                rights=sorted(values.rights),
                needs_second_factor=values.needs_second_factor,
                changed_at=now(),
            )
            origin = f", copied from {copied_from}" if copied_from else ""
            record(
                "role.created",
                actor=actor,
                message=f"Role “{role}” added{origin}, with the rights: {name_rights(values.rights)}",
                data={"role": role.code, "after": _recorded(values)},
            )
    except IntegrityError:
        raise _taken() from None
    return role


def update_role(*, code: str, values: RoleValues, lock_version: int, actor: Actor) -> CustomRole:
    """Change a role that is still as its editor saw it. It counts at once for all who have it.

    What they requested and what needs a right that the role loses is ended, as if it were taken from each of them.

    Raises:
        PermissionRefused: the actor may not manage roles, or lacks a right that it has or is to have.
        InputError: the name is taken or can't be read.
        ConflictError: it is built in, the actor's own, deleted, or was changed meanwhile.

    """
    values = _clean(values)
    try:
        with transaction.atomic():
            role, held = _begin(code, actor)
            if role.lock_version != lock_version:
                raise ConflictError(
                    _("Somebody else changed the role meanwhile."), _("Review it, then change it again.")
                )
            check_covers(held, values.rights, of=role.name, actor=actor)
            before = RoleValues(role.name, role.description, role.held, role.needs_second_factor)
            if before == values:
                return role
            _check_name(values.name, except_for=role)
            asked = {"code": code, "lock_version": lock_version, **_as_json(values)}
            require_approval("role.update", asked, actor=actor)
            CustomRole.objects.filter(pk=role.pk).update(
                name=values.name,
                description=values.description,
                rights=sorted(values.rights),
                needs_second_factor=values.needs_second_factor,
                lock_version=role.lock_version + 1,
                changed_at=now(),
            )
            users = list(users_with(code).order_by("pk"))
            if before.rights - values.rights:
                for user in users:
                    withdrawal.end(user, role=user.role, actor=actor)
            counted = ngettext("%(count)d user has it", "%(count)d users have it", len(users)) % {"count": len(users)}
            record(
                "role.updated",
                actor=actor,
                message=f"Role “{role}” changed: {'; '.join(_differences(before, values))}. {counted}.",
                data={"role": code, "before": _recorded(before), "after": _recorded(values)},
            )
    except IntegrityError:
        raise _taken() from None
    role.refresh_from_db()
    return role


def delete_role(*, code: str, actor: Actor) -> None:
    """Delete a role that nobody has and nothing names.

    Raises:
        PermissionRefused: the actor may not manage roles, or lacks one of its rights.
        ConflictError: it is built in, somebody has it, something names it, or it is gone.

    """
    with transaction.atomic():
        role, _held = _begin(code, actor)
        if count := users_with(code).count():
            raise ConflictError(
                ngettext("%(count)d user has the role.", "%(count)d users have the role.", count) % {"count": count},
                _("Give them another role first; deactivated users count too."),
            )
        if uses := find_uses(code):
            raise ConflictError(" ".join(uses))
        values = RoleValues(role.name, role.description, role.held, role.needs_second_factor)
        role.delete()
        record(
            "role.deleted",
            actor=actor,
            message=f"Role “{values.name}” deleted; it had the rights: {name_rights(values.rights)}",
            data={"role": code, "before": _recorded(values)},
        )


def _begin(code: str, actor: Actor) -> tuple[CustomRole, frozenset[Right]]:
    """Lock, check the right, and return the role with the rights of the actor, who has all of the role's."""
    held = begin_change(actor, Right.ROLE_MANAGE)
    if code in ROLE_RIGHTS:
        raise ConflictError(_("Built-in roles do not change."), _("Copy it and change the copy."))
    role = CustomRole.objects.select_for_update().filter(code=code).first()
    if role is None:
        raise ConflictError(_("The role was deleted meanwhile."), _("Reload the page."))
    if actor.user_id is not None and users_with(code).filter(pk=actor.user_id).exists():
        raise ConflictError(_("Nobody changes their own role."), _("Ask another administrator."))
    check_covers(held, role.held, of=role.name, actor=actor)
    return role, held


def _clean(values: RoleValues) -> RoleValues:
    """Return the values as they are stored. Without Console:Read a user could not even choose a password.

    Raises:
        InputError: the name is empty, or holds what can't be read in a log.

    """
    name, description = trim_label(values.name), trim_label(values.description)
    if not name:
        raise InputError(_("The role needs a name."), field="name")
    for field, text in (("name", name), ("description", description)):
        if find_unreadable(text):
            raise InputError(
                _("There is a picture or an invisible character in it."),
                _("Use letters, digits, spaces and punctuation."),
                field=field,
            )
    if find_mixed_word(name):
        raise InputError(
            _("Letters of several alphabets that look alike stand in one word."),
            _("Use those of one alphabet."),
            field="name",
        )
    return RoleValues(name, description, values.rights | {Right.CONSOLE_READ}, values.needs_second_factor)


def _check_name(name: str, *, except_for: CustomRole | None = None) -> None:
    """Check that no other role has the name, in any case of letters; built-in ones keep theirs in every language.

    Raises:
        InputError: one has.

    """
    with language.of_records():
        built_in = {fold(text) for role in Role for text in (role.value, str(role.label))}
    built_in |= {fold(str(role.label)) for role in Role}
    others = CustomRole.objects.exclude(pk=except_for.pk) if except_for else CustomRole.objects.all()
    if fold(name) in built_in or fold(name) in {fold(str(other)) for other in others}:
        raise _taken()


def _taken() -> InputError:
    return InputError(_("There is a role of this name already."), _("Choose another one."), field="name")


def _as_json(values: RoleValues) -> dict[str, object]:
    """Return the values as a request for approval holds them."""
    return {**vars(values), "rights": sorted(map(str, values.rights))}


def _recorded(values: RoleValues) -> dict[str, object]:
    """Return the values as a log row holds them."""
    return {
        "name": values.name,
        "description": values.description,
        "rights": sorted(values.rights),
        "rights_in_words": name_rights(values.rights),
        "needs_second_factor": values.needs_second_factor,
    }


def _differences(before: RoleValues, after: RoleValues) -> list[str]:
    """Return what changes, with old and new, in the language of records."""
    said = []
    if before.name != after.name:
        said.append(f"name from “{before.name}” to “{after.name}”")
    if before.description != after.description:
        said.append(f"description from “{before.description}” to “{after.description}”")
    if before.rights != after.rights:
        said.append(f"rights from {name_rights(before.rights)} to {name_rights(after.rights)}")
        said += [f"gained {name_rights(gained)}"] if (gained := after.rights - before.rights) else []
        said += [f"lost {name_rights(lost)}"] if (lost := before.rights - after.rights) else []
    if before.needs_second_factor != after.needs_second_factor:
        said.append(f"second factor {'required' if after.needs_second_factor else 'no longer required by the role'}")
    return said
