"""Writes about users: add, change, deactivate, reset and change passwords, unlock. Each with its log row.

Users are never deleted, because log entries refer to them. At least one administrator stays active, nobody changes
their own role or deactivates themselves, and nobody acts on a user who has a right that they lack (``delegation``).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from axes.utils import reset as forget_failures
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from kmes.accounts import sessions, withdrawal
from kmes.accounts.delegation import begin_change, check_covers, check_covers_user
from kmes.accounts.models import User
from kmes.accounts.rights import Right, Role, rights_of
from kmes.accounts.roles.selectors import is_role, role_name
from kmes.accounts.selectors import find_namesake, locked_sign_ins, other_active_admins
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError
from kmes.core.guarded_changes import require_approval
from kmes.core.secret_types import SecretText
from kmes.core.typed_text import find_mixed_word
from logging_reports.choices import Severity
from logging_reports.services import record

# 28 letters and digits in groups, without similar ones: 138 bits, easy to read aloud.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP_LENGTH = 7, 4


@dataclass(frozen=True)
class UserValues:
    """What an administrator enters about a user."""

    role: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""


def make_one_time_password() -> SecretText:
    """Return a random password for one sign-in."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
    return SecretText("-".join(groups))


def create_user(*, username: str, values: UserValues, actor: Actor) -> tuple[User, SecretText]:
    """Add a user with a one-time password. Return both; the password is not stored in clear.

    Raises:
        PermissionRefused: the actor may not add users, or lacks a right of the role.
        InputError: the name is taken, in any case of letters, or imitates one, or there is no such role.

    """
    password = make_one_time_password()
    taken = InputError(_("There is a user of this name already."), _("Choose another one."), field="username")
    try:
        with transaction.atomic():
            held = begin_change(actor, Right.USER_MANAGE)
            _check_gives(held, values.role, actor)
            if find_namesake(username) is not None:
                raise taken
            if find_mixed_word(username):
                raise InputError(
                    _("Letters of several alphabets that look alike stand in one word."),
                    _("Use those of one alphabet."),
                    field="username",
                )
            require_approval("user.create", {"username": username, **vars(values)}, actor=actor)
            user = User(username=username, one_time_until=one_time_end(), **vars(values))
            user.set_password(password.reveal())
            user.save(force_insert=True)
            record(
                "user.created",
                actor=actor,
                message=f"User {user} created as {_recorded_role(user.role)}",
                data={"user_id": user.pk, "role": user.role, "role_name": _recorded_role(user.role)},
            )
    except IntegrityError:
        raise taken from None
    return user, password


def update_user(*, user: User, values: UserValues, actor: Actor) -> None:
    """Change a user's role and names. What waits for a right that the new role lacks is ended.

    Raises:
        PermissionRefused: the actor may not change users, or lacks a right of this one or of the new role.
        InputError: there is no such role.
        ConflictError: it is the actor's own role, or the last administrator's.

    """
    with transaction.atomic():
        current, held = _begin(user, actor)
        changes = {
            name: [getattr(current, name), value]
            for name, value in vars(values).items()
            if getattr(current, name) != value
        }
        if not changes:
            return
        if "role" in changes:
            if current.pk == actor.user_id:
                raise ConflictError(_("Users can't change their own role."), _("Ask another administrator."))
            if current.role == Role.ADMIN:
                _refuse_last_admin(current)
            _check_gives(held, values.role, actor)
            require_approval("user.update", {"user": current.pk, **vars(values)}, actor=actor)
        User.objects.filter(pk=user.pk).update(**vars(values))
        if "role" in changes:
            withdrawal.end(current, role=values.role, actor=actor)
        _record_update(current, changes, actor)


def _record_update(user: User, changes: dict[str, list[Any]], actor: Actor) -> None:
    """Write the log row of changed values. A changed role is a warning, with old and new in words."""
    if "role" not in changes:
        text, data, severity = f"User {user} updated: {', '.join(changes)}", {}, None
    else:
        before, after = map(_recorded_role, changes["role"])
        others = ", ".join(name for name in changes if name != "role")
        text = f"Role of {user} changed from {before} to {after}" + (f"; also changed: {others}" if others else "")
        data, severity = {"role_names": [before, after]}, Severity.WARNING
    record(
        "user.updated",
        actor=actor,
        message=text,
        severity=severity,
        data={"user_id": user.pk, "changes": changes, **data},
    )


def why_not_deactivate(user: User, viewer_id: int | None) -> str:
    """Return why a user can't be deactivated, "" if they can."""
    if not user.is_active:
        return _("Deactivated already")
    if user.pk == viewer_id:
        return _("Users can't deactivate themselves")
    if user.role == Role.ADMIN and not other_active_admins(user).exists():
        return _("The last active administrator")
    return ""


def deactivate_user(*, user: User, actor: Actor) -> None:
    """Deactivate a user at once, and end what waits to be done for them; their log entries remain.

    Raises:
        PermissionRefused: the actor may not change users, or lacks a right of this one.
        ConflictError: it is the actor, the last administrator, or was done already.

    """
    with transaction.atomic():
        current, _held = _begin(user, actor)
        if refusal := why_not_deactivate(current, actor.user_id):
            raise ConflictError(f"{refusal}.")
        User.objects.filter(pk=user.pk).update(is_active=False)
        sessions.remove_all(current)
        withdrawal.end(current, actor=actor)
        _record("user.deactivated", current, actor, "User %(user)s deactivated")


def reactivate_user(*, user: User, actor: Actor) -> SecretText:
    """Reactivate a user with a one-time password, because others may know the old one.

    Raises:
        PermissionRefused: the actor may not change users, or lacks a right of this one.
        ConflictError: the user is active.

    """
    with transaction.atomic():
        current, _held = _begin(user, actor)
        if current.is_active:
            raise ConflictError(_("%(user)s is active already.") % {"user": current})
        require_approval("user.reactivate", {"user": current.pk}, actor=actor)
        password = _set_one_time_password(current)
        User.objects.filter(pk=user.pk).update(is_active=True)
        _record("user.reactivated", current, actor, "User %(user)s reactivated with a one-time password")
    return password


def reset_password(*, user: User, actor: Actor) -> SecretText:
    """Give a user a one-time password and end their sessions. Return it; it is stored nowhere in clear.

    Raises:
        PermissionRefused: the actor may not change users, or lacks a right of this one.
        ConflictError: the user is the actor, or deactivated.

    """
    with transaction.atomic():
        current, _held = _begin(user, actor)
        if current.pk == actor.user_id:
            raise ConflictError(_("Your own password is changed on your profile page."))
        if not current.is_active:
            raise ConflictError(_("%(user)s is deactivated.") % {"user": current}, _("Reactivate the user instead."))
        require_approval("user.reset_password", {"user": current.pk}, actor=actor)
        password = _set_one_time_password(current)
        sessions.remove_all(current)
        _record("user.password_reset", current, actor, "Password of %(user)s reset; sessions ended")
    return password


def change_own_password(*, user: User, password: SecretText, actor: Actor, session_key: str = "") -> None:
    """Set the password a user chose; it replaces a one-time one. The user's sessions end, but for the one named."""
    with transaction.atomic():
        user.set_password(password.reveal())
        user.one_time_until = None
        user.save(update_fields=["password", "one_time_until"])
        sessions.remove_all(user, kept_key=session_key)
        _record("user.password_changed", user, actor, "%(user)s changed the password")


def unlock(*, username: str, actor: Actor) -> None:
    """Delete the failed sign-ins of a user name, from every address.

    Raises:
        PermissionRefused: the actor may not change users, or lacks a right of this one, whose password could be guessed.
        ConflictError: the name is not locked.

    """
    with transaction.atomic():
        held = begin_change(actor, Right.USER_MANAGE)
        if (user := find_namesake(username)) is not None:
            check_covers_user(held, user, actor=actor)
        if not locked_sign_ins(username=username):
            raise ConflictError(_("“%(name)s” is not locked.") % {"name": username}, _("Reload the page."))
        forget_failures(username=username)
        record("user.unlocked", actor=actor, message=f"Sign-in of “{username}” unlocked")


def _begin(user: User, actor: Actor) -> tuple[User, frozenset[Right]]:
    """Begin a change of a user: return the locked row, and the rights of the actor, who has all of the user's."""
    held = begin_change(actor, Right.USER_MANAGE)
    current = User.objects.select_for_update().get(pk=user.pk)
    check_covers_user(held, current, actor=actor)
    return current, held


def _check_gives(held: frozenset[Right], role: str, actor: Actor) -> None:
    """Check that the actor can give somebody the role.

    Raises:
        PermissionRefused: they lack one of its rights.
        InputError: there is no such role.

    """
    if not is_role(role):
        raise InputError(_("There is no such role."), _("Choose another one."), field="role")
    check_covers(held, rights_of(role), of=role_name(role), actor=actor)


def _recorded_role(code: str) -> str:
    """Return a role's name in the language of records."""
    with language.of_records():
        return role_name(code)


def _refuse_last_admin(user: User) -> None:
    if user.is_active and not other_active_admins(user).exists():
        raise ConflictError(
            _("%(user)s is the last active administrator.") % {"user": user},
            _("Make somebody else an administrator first."),
        )


def one_time_end() -> Any:
    """Return until when a one-time password made now is valid."""
    return now() + timedelta(hours=settings.KMES_ONE_TIME_PASSWORD_HOURS)


def _set_one_time_password(user: User) -> SecretText:
    password = make_one_time_password()
    user.set_password(password.reveal())
    user.one_time_until = one_time_end()
    user.save(update_fields=["password", "one_time_until"])
    return password


def _record(event: str, user: User, actor: Actor, text: str) -> None:
    record(event, actor=actor, message=text % {"user": user}, data={"user_id": user.pk})
