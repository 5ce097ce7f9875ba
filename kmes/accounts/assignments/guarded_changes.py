"""A role that is given for a scope, as a change that an approval policy of users can be about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from kmes.accounts.assignments.catalog import describe_scopes
from kmes.accounts.assignments.services import give_role
from kmes.accounts.guarded_changes import find_user, of_users, scoped_role_facts, state_of
from kmes.accounts.models import RoleAssignment
from kmes.accounts.roles.selectors import role_name
from kmes.core.actor import Actor
from kmes.core.guarded_changes import Applied, Description, register
from kmes.core.right_names import name_rights

_Values = Mapping[str, Any]


def register_all() -> None:
    """Register the operation."""
    register(of_users(name="user.give_role", describe=_describe, apply=_apply))


def _describe(values: _Values) -> Description:
    user = find_user(values)
    given = RoleAssignment(
        user=user, role=values["role"], scope_kind=values["scope_kind"], scope_value=values["scope_value"]
    )
    return Description(
        subject=user.username,
        title=_("Give %(name)s a role for a scope") % {"name": user.username},
        back=user.get_absolute_url(),
        facts=[
            (_("User"), user.username),
            (_("State"), state_of(user)),
            (_("Role everywhere"), role_name(user.role)),
            *scoped_role_facts(user),
            (_("Role"), role_name(given.role)),
            (_("Scope"), describe_scopes([given])[0]),
            # A role that gets another right meanwhile is another plan.
            (_("Rights there"), name_rights(given.effective)),
            (_("Rights of the role"), name_rights(given.held)),
        ],
        effects=[_("The role counts at once.")],
    )


def _apply(values: _Values, actor: Actor) -> Applied:
    user = find_user(values)
    give_role(
        user=user,
        role=values["role"],
        scope_kind=values["scope_kind"],
        scope=values["scope_value"],
        actor=actor,
    )
    message = _("%(user)s has the role for the scope. It counts at once.") % {"user": user}
    return Applied(message=message, page=user.get_absolute_url())
