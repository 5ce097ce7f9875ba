"""Reads of roles for a scope, in words for pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from kmes.accounts.assignments.catalog import describe_scopes
from kmes.accounts.delegation import lacked_of
from kmes.accounts.models import RoleAssignment, User
from kmes.accounts.roles.selectors import role_names
from kmes.core.right_names import name_rights


@dataclass(frozen=True)
class ScopedRole:
    """A role that a user has for a scope, as pages show it."""

    assignment: RoleAssignment
    role: str
    scope: str
    rights: str


def list_scoped_roles(assignments: Sequence[RoleAssignment]) -> list[ScopedRole]:
    """Return roles for scopes in words. Without any no query is made."""
    if not assignments:
        return []
    names = role_names()
    return [
        ScopedRole(each, names.get(each.role, each.role), scope, name_rights(each.effective))
        for each, scope in zip(assignments, describe_scopes(assignments), strict=True)
    ]


def why_not_change(user: User, viewer: Any) -> str:
    """Return why the viewer can't give the user a role for a scope or take one away, "" if they can."""
    if user.pk == viewer.pk:
        return _("Nobody changes their own role")
    missing = lacked_of(viewer, user)
    return _("The user has rights that you lack: %(rights)s") % {"rights": missing} if missing else ""
