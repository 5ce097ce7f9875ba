"""Reads of roles."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from kmes.accounts.delegation import lacked
from kmes.accounts.models import CustomRole, RoleAssignment, User
from kmes.accounts.rights import ROLE_RIGHTS, Right, Role
from kmes.accounts.role_descriptions import ROLE_DESCRIPTIONS


@dataclass(frozen=True)
class ShownRole:
    """A role as pages show it to a viewer; a built-in one has no row."""

    code: str
    name: str
    description: str
    rights: frozenset[Right]
    users: int
    row: CustomRole | None
    viewer: Any

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the role's page."""
        return reverse("accounts:role", args=[self.code])

    @property
    def needs_second_factor(self) -> bool:
        """Return whether the role itself asks for a second factor, whatever the installation demands."""
        return self.row is not None and self.row.needs_second_factor

    @property
    def why_not_change(self) -> str:
        """Return why the viewer can't change or delete the role, "" if they can."""
        if self.row is None:
            return _("Built in: copy it and change the copy")
        if self.code in self.viewer.role_codes:
            return _("Nobody changes their own role")
        return self.why_not_give

    @property
    def why_not_give(self) -> str:
        """Return why the viewer can't give the role to a user, "" if they can."""
        missing = lacked(self.viewer.rights, self.rights)
        return _("It has rights that you lack: %(rights)s") % {"rights": missing} if missing else ""

    @property
    def why_not_delete(self) -> str:
        """Return why the role can't be deleted, "" if it can."""
        return self.why_not_change or (_("Users have it") if self.users else "")


def list_roles(viewer: Any) -> list[ShownRole]:
    """Return the built-in roles, then the others by name. Three queries."""
    counts = Counter(dict(User.objects.order_by().values_list("role").annotate(Count("pk"))))
    # Each user once, however many scopes they have the role for.
    scoped = RoleAssignment.objects.order_by().exclude(user__role=F("role"))
    counts.update(dict(scoped.values_list("role").annotate(Count("user", distinct=True))))
    built_in = [_built_in(role, counts.get(role, 0), viewer) for role in Role]
    return [*built_in, *(_of_row(row, counts.get(row.code, 0), viewer) for row in CustomRole.objects.all())]


def users_with(code: str) -> QuerySet[User]:
    """Return the users who have a role, everywhere or for a scope."""
    return User.objects.filter(Q(role=code) | Exists(RoleAssignment.objects.filter(user=OuterRef("pk"), role=code)))


def find_role(code: str, viewer: Any) -> ShownRole | None:
    """Return a role, None if there is none of this code."""
    users = users_with(code).count()
    if code in ROLE_RIGHTS:
        return _built_in(Role(code), users, viewer)
    row = CustomRole.objects.filter(code=code).first()
    return _of_row(row, users, viewer) if row is not None else None


def _built_in(role: Role, users: int, viewer: Any) -> ShownRole:
    return ShownRole(role.value, str(role.label), str(ROLE_DESCRIPTIONS[role]), ROLE_RIGHTS[role], users, None, viewer)


def _of_row(row: CustomRole, users: int, viewer: Any) -> ShownRole:
    return ShownRole(row.code, row.name, row.description, row.held, users, row, viewer)


def role_names() -> dict[str, str]:
    """Return the names of all roles by their codes, in the order of ``list_roles``."""
    return {role.value: str(role.label) for role in Role} | dict(CustomRole.objects.values_list("code", "name"))


def role_rights() -> dict[str, frozenset[Right]]:
    """Return the rights of all roles by their codes, in the order of ``list_roles``."""
    return ROLE_RIGHTS | {row.code: row.held for row in CustomRole.objects.all()}


def role_name(code: str) -> str:
    """Return the name of a role; the code of one that does not exist."""
    if code in ROLE_RIGHTS:
        return str(Role(code).label)
    return CustomRole.objects.filter(code=code).values_list("name", flat=True).first() or code


def is_role(code: str) -> bool:
    """Return whether there is such a role."""
    return code in ROLE_RIGHTS or CustomRole.objects.filter(code=code).exists()
