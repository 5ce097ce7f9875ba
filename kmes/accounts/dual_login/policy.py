"""The policy: what demands a second administrator, from which roles they come, and for how long they sign in.

A policy that is not as it was saved demands one for everything, from an administrator.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from kmes.accounts import acting_views
from kmes.accounts.delegation import begin_change, check_covers
from kmes.accounts.dual_login import seals
from kmes.accounts.dual_login.models import DualLoginPolicy, SecondSignIn
from kmes.accounts.models import AuthenticatorApp, Passkey, User
from kmes.accounts.rights import Right, Role
from kmes.accounts.roles.selectors import is_role, role_name
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError
from kmes.core.guarded_changes import require_approval
from logging_reports.services import record

LEAST_MINUTES, MOST_MINUTES, DEFAULT_MINUTES = 5, 60, 15
# Besides the one who turns it on, so that each of these has somebody too.
OTHERS_NEEDED = 2


@dataclass(frozen=True)
class Policy:
    """What demands a second administrator."""

    roles: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    second_roles: frozenset[str] = frozenset({Role.ADMIN.value})
    minutes: int = DEFAULT_MINUTES
    lock_version: int = 0
    # Someone changed the row past the console.
    is_genuine: bool = True

    @property
    def is_on(self) -> bool:
        """Return whether anything demands one."""
        return bool(self.roles or self.actions) or not self.is_genuine

    def demands(self, user: User, codes: frozenset[str], *, is_reading: bool = False) -> bool:
        """Return whether a user needs a second administrator for an act, which is all of these actions.

        Of what only reads, downloads for example, an action may demand one, but no role does.
        """
        if not self.is_on:
            return False
        if not is_reading and (not self.is_genuine or user.role_codes & self.roles):
            return True
        return not self.is_genuine or bool(codes & (self.actions | acting_views.ALWAYS))


def read_policy() -> Policy:
    """Return the policy; one query."""
    row = DualLoginPolicy.objects.filter(pk=DualLoginPolicy.ONLY).first()
    return _policy_of(row)


def _policy_of(row: DualLoginPolicy | None) -> Policy:
    if row is None:
        return Policy()
    if not seals.is_policy_genuine(row):
        return Policy(lock_version=row.lock_version, is_genuine=False)
    return Policy(
        frozenset(row.roles), frozenset(row.actions), frozenset(row.second_roles), row.minutes, row.lock_version
    )


def why_not_serve(user: User, policy: Policy) -> str:
    """Return why a user can't be the second administrator of others, "" if they can."""
    if not user.is_active:
        return _("%(name)s is deactivated.") % {"name": user}
    if user.role not in policy.second_roles:
        names = ", ".join(sorted(role_name(code) for code in policy.second_roles))
        return _("%(name)s has none of the roles that may: %(roles)s.") % {"name": user, "roles": names}
    if user.one_time_until is not None:
        return _("%(name)s has a one-time password, which others may know, and has to choose one first.") % {
            "name": user
        }
    has_app = AuthenticatorApp.objects.filter(user=user).exists()
    if not has_app and not Passkey.objects.filter(user=user).exists():
        return _("%(name)s has no second factor, and has to set one up first.") % {"name": user}
    return ""


def find_seconds(roles: frozenset[str]) -> list[User]:
    """Return the users who could be second administrators: active, of these roles, with password and second factor."""
    found = User.objects.filter(
        Exists(AuthenticatorApp.objects.filter(user=OuterRef("pk")))
        | Exists(Passkey.objects.filter(user=OuterRef("pk"))),
        is_active=True,
        role__in=roles,
        one_time_until=None,
    )
    return [user for user in found if user.has_usable_password()]


def save_policy(values: Policy, *, actor: Actor) -> None:
    """Change the policy that is still as its editor saw it. Second administrators who are signed in are signed out.

    Raises:
        PermissionRefused: the actor may not manage users, or lacks a right: the policy concerns every role.
        InputError: a role or an action does not exist, or the time is out of bounds.
        ConflictError: it would leave nobody who could sign in besides, or was changed meanwhile.

    """
    _check(values)
    with transaction.atomic():
        held = begin_change(actor, Right.USER_MANAGE)
        check_covers(held, frozenset(Right), of=str(Role.ADMIN.label), actor=actor)
        row = DualLoginPolicy.objects.select_for_update().filter(pk=DualLoginPolicy.ONLY).first()
        before = _policy_of(row)
        if before.lock_version != values.lock_version:
            raise ConflictError(_("Somebody else changed dual login meanwhile."), _("Review it, then change it again."))
        if _content(before) == _content(values) and before.is_genuine:
            return
        _refuse_lock_out(values, actor)
        require_approval("dual_login.save", _as_json(values), actor=actor)
        _write(row, values)
        SecondSignIn.objects.all().delete()
        _record(before, values, actor)


def _as_json(values: Policy) -> dict[str, object]:
    sets = {name: sorted(getattr(values, name)) for name in ("roles", "actions", "second_roles")}
    return {**sets, "minutes": values.minutes, "lock_version": values.lock_version}


def turn_off(*, actor: Actor) -> bool:
    """Demand nothing any more, from the server's shell. Return whether anything was demanded."""
    with transaction.atomic():
        row = DualLoginPolicy.objects.select_for_update().filter(pk=DualLoginPolicy.ONLY).first()
        before = _policy_of(row)
        if not before.is_on:
            return False
        values = Policy(minutes=before.minutes, second_roles=before.second_roles, lock_version=before.lock_version)
        _write(row, values)
        SecondSignIn.objects.all().delete()
        _record(before, values, actor)
    return True


def _check(values: Policy) -> None:
    if not LEAST_MINUTES <= values.minutes <= MOST_MINUTES:
        text = _("From %(least)d to %(most)d minutes.") % {"least": LEAST_MINUTES, "most": MOST_MINUTES}
        raise InputError(text, field="minutes")
    if not values.second_roles:
        raise InputError(_("Choose the roles of the second administrator."), field="second_roles")
    if values.actions - set(acting_views.labels()):
        raise InputError(_("There is no such action."), field="actions")
    for field, codes in (("roles", values.roles), ("second_roles", values.second_roles)):
        if not all(map(is_role, codes)):
            raise InputError(_("There is no such role."), _("Reload the page."), field=field)


def _refuse_lock_out(values: Policy, actor: Actor) -> None:
    if not values.is_on:
        return
    others = [user for user in find_seconds(values.second_roles) if user.pk != actor.user_id]
    if len(others) >= OTHERS_NEEDED:
        return
    names = ", ".join(map(str, others)) or _("nobody")
    raise ConflictError(
        _(
            "Besides you, at least %(needed)d users have to be able to sign in as second administrator, or one who is"
            " away would lock out the others. At present: %(names)s."
        )
        % {"needed": OTHERS_NEEDED, "names": names},
        _("Each of them needs a role that may, a password of their own choice, and a second factor."),
    )


def _write(row: DualLoginPolicy | None, values: Policy) -> None:
    kept = row or DualLoginPolicy()
    kept.roles, kept.actions, kept.second_roles = map(sorted, (values.roles, values.actions, values.second_roles))
    kept.minutes, kept.changed_at = values.minutes, now()
    kept.lock_version = values.lock_version + 1
    kept.seal = seals.seal_policy(kept)
    kept.save()


def _content(policy: Policy) -> tuple[object, ...]:
    return policy.roles, policy.actions, policy.second_roles, policy.minutes


def _record(before: Policy, after: Policy, actor: Actor) -> None:
    with language.of_records():
        was = "not as it was saved" if not before.is_genuine else _words(before)
        message = f"Dual login changed from {was} to {_words(after)}"
    data = {"before": _recorded(before), "after": _recorded(after)}
    record("access.dual_login_changed", actor=actor, message=message, data=data)


def _words(policy: Policy) -> str:
    """Return a policy in the language of records."""
    if not policy.is_on:
        return "off"
    roles = ", ".join(sorted(map(role_name, policy.roles))) or "none"
    acts = ", ".join(sorted(map(acting_views.label_of, policy.actions))) or "none besides"
    seconds = ", ".join(sorted(map(role_name, policy.second_roles)))
    return f"[roles: {roles}; actions: {acts}; by {seconds}; for {policy.minutes} minutes]"


def _recorded(policy: Policy) -> dict[str, object]:
    return {
        "roles": sorted(policy.roles),
        "actions": sorted(policy.actions),
        "second_roles": sorted(policy.second_roles),
        "minutes": policy.minutes,
        "is_genuine": policy.is_genuine,
    }
