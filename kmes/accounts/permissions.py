"""Who may do what: the users behind each right, for the Permissions pages of key groups, credentials and vaults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise

from kmes.accounts.models import User
from kmes.accounts.rights import Right
from kmes.accounts.role_descriptions import AREAS
from kmes.accounts.roles.selectors import ShownRole, list_roles
from kmes.core.right_names import name_right

# Of a role with many users, so many are named.
USERS_NAMED = 20
# Returns in sentences what else is needed to use a right, such as the approval of others.
Condition = Callable[[Right], list[str]]


@dataclass
class _Registry:
    conditions: tuple[Condition, ...] = ()


_registry = _Registry()


def register(condition: Condition) -> None:
    """Have a package asked what a right depends on besides."""
    _registry.conditions += (condition,)


@dataclass(frozen=True)
class Holders:
    """The active users who have a right by one role; ``more`` counts those that are not named."""

    role: ShownRole
    users: list[User]
    more: int


@dataclass(frozen=True)
class Permission:
    """A right, who has it, and what using it needs besides."""

    right: Right
    name: str
    text: str | Promise
    holders: list[Holders]
    conditions: list[str]


def conditions_of(right: Right) -> list[str]:
    """Return in sentences what else is needed to use a right."""
    return [sentence for condition in _registry.conditions for sentence in condition(right)]


def list_permissions(rights: Sequence[Right], viewer: object) -> list[Permission]:
    """Return who has each of these rights. Three queries, and those of the conditions."""
    users: dict[str, list[User]] = defaultdict(list)
    for user in User.objects.filter(is_active=True).only("pk", "username", "role"):
        users[user.role].append(user)
    roles = [role for role in list_roles(viewer) if users[role.code]]
    texts = {right: text for _area, rows in AREAS for right, text in rows.items()}
    return [
        Permission(
            right,
            name_right(right),
            texts[right],
            [
                Holders(role, users[role.code][:USERS_NAMED], max(len(users[role.code]) - USERS_NAMED, 0))
                for role in roles
                if right in role.rights
            ],
            conditions_of(right),
        )
        for right in rights
    ]


def render_permissions(request: HttpRequest, subject: Model, *, rights: Sequence[Right], back: str) -> HttpResponse:
    """Render who may do what with a key group, a credential or a vault."""
    context = {"subject": subject, "back": back, "permissions": list_permissions(rights, request.user)}
    return render(request, "accounts/permissions.html", context)
