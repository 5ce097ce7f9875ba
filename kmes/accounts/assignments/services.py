"""Writes of roles that are given for a scope: give one, take it away. Each with a log row that has old and new in words.

The role that a user has everywhere is changed in ``kmes.accounts.services``.
"""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from kmes.accounts import withdrawal
from kmes.accounts.assignments.catalog import catalog, recorded_scope
from kmes.accounts.delegation import begin_change, check_covers_user, check_gives_in_scope
from kmes.accounts.models import RoleAssignment, User
from kmes.accounts.rights import Right
from kmes.accounts.roles.selectors import is_role, role_name
from kmes.accounts.scopes import ScopeKind
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError
from kmes.core.guarded_changes import require_approval
from logging_reports.choices import Severity
from logging_reports.services import record

# More are a role everywhere, or a tag.
MOST_OF_A_USER = 50


def give_role(*, user: User, role: str, scope_kind: str, scope: str, actor: Actor) -> RoleAssignment:
    """Give a user a role for a scope. ``scope`` names the vault, the key group or the tag, as users type it.

    Raises:
        PermissionRefused: the actor may not change users, or lacks a right of the user, or one of the role in this scope.
        InputError: there is no such role or scope, or the user has too many; ``field`` names it.
        ConflictError: it is the actor's own, or the user has it already.
        ApprovalNeeded: a policy asks for approvals. Taking a role away needs none, as deactivating a user does not.

    """
    with transaction.atomic():
        current, held = _begin(user, actor)
        if not is_role(role):
            raise InputError(_("There is no such role."), _("Choose another one."), field="role")
        value = catalog().find(scope_kind, scope) if scope_kind in ScopeKind.values else ""
        if not value:
            raise InputError(_("There is no such scope."), _("Choose one of the suggestions."), field="scope")
        given = RoleAssignment(
            user=current, role=role, scope_kind=scope_kind, scope_value=value, given_at=now(), given_by=actor.name
        )
        check_gives_in_scope(held, given, of=role_name(role), actor=actor)
        before = list(RoleAssignment.objects.filter(user=current))
        if any((each.role, each.scope_kind, each.scope_value) == (role, scope_kind, value) for each in before):
            raise ConflictError(_("%(user)s has the role for this scope already.") % {"user": current})
        if len(before) >= MOST_OF_A_USER:
            raise InputError(
                _("%(user)s has %(count)d roles for scopes already.") % {"user": current, "count": len(before)},
                _("Give the role everywhere, or for a tag of the key groups."),
                field="scope",
            )
        asked = {"user": current.pk, "role": role, "scope_kind": scope_kind, "scope_value": value}
        require_approval("user.give_role", asked, actor=actor)
        given.save(force_insert=True)
        _record("user.role_given", given, before, [*before, given], actor=actor)
    return given


def take_role(*, user: User, assignment_id: int, actor: Actor) -> None:
    """Take a role for a scope away from a user. It counts at once; what waits for its rights is ended.

    Raises:
        PermissionRefused: the actor may not change users, or lacks a right of the user.
        ConflictError: it is the actor's own, or was taken away meanwhile.

    """
    with transaction.atomic():
        current, _held = _begin(user, actor)
        before = list(RoleAssignment.objects.filter(user=current))
        taken = next((each for each in before if each.pk == assignment_id), None)
        if taken is None:
            raise ConflictError(_("The role was taken away meanwhile."), _("Reload the page."))
        RoleAssignment.objects.filter(pk=taken.pk).delete()
        withdrawal.end(current, role=current.role, actor=actor)
        _record("user.role_taken", taken, before, [each for each in before if each.pk != taken.pk], actor=actor)


def _begin(user: User, actor: Actor) -> tuple[User, frozenset[Right]]:
    """Lock, check the right, and return the user with the rights of the actor, who has all of the user's."""
    held = begin_change(actor, Right.USER_MANAGE)
    if user.pk == actor.user_id:
        raise ConflictError(_("Users can't change their own role."), _("Ask another administrator."))
    current = User.objects.select_for_update().get(pk=user.pk)
    check_covers_user(held, current, actor=actor)
    return current, held


def _record(
    event: str, changed: RoleAssignment, before: list[RoleAssignment], after: list[RoleAssignment], *, actor: Actor
) -> None:
    verb = "given to" if event == "user.role_given" else "taken from"
    with language.of_records():
        role = role_name(changed.role)
    record(
        event,
        actor=actor,
        severity=Severity.WARNING,
        message=f"Role {role} {verb} {changed.user} for {recorded_scope(changed)}",
        data={
            "user_id": changed.user_id,
            "role": changed.role,
            "role_name": role,
            "scope": recorded_scope(changed),
            "changes": {"scoped_roles": [_recorded(before), _recorded(after)]},
        },
    )


def _recorded(assignments: list[RoleAssignment]) -> list[str]:
    with language.of_records():
        return [f"{role_name(each.role)}: {each.scope_kind} {each.scope_value}" for each in assignments]
