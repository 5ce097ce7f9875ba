"""Who may do what: the users behind each right, for the Permissions pages of key groups, credentials and vaults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise

from kmes.accounts.assignments.catalog import describe_scopes
from kmes.accounts.models import RoleAssignment, User
from kmes.accounts.rights import SCOPED_RIGHTS, Right
from kmes.accounts.role_descriptions import AREAS
from kmes.accounts.roles.selectors import ShownRole, list_roles
from kmes.core.right_names import name_right

# Of a role with many users, so many are named.
USERS_NAMED = 20
# Returns in sentences what else is needed to use each of some rights, such as the approval of others: on a subject, None for
# wherever.
Condition = Callable[[Sequence[Right], object], Mapping[Right, list[str]]]


@dataclass
class _Registry:
    conditions: tuple[Condition, ...] = ()


_registry = _Registry()


def register(condition: Condition) -> None:
    """Have a package asked what rights depend on besides."""
    _registry.conditions += (condition,)


@dataclass(frozen=True)
class Holders:
    """The active users who have a right by one role; ``more`` counts those that are not named.

    ``scope`` is what the role is given for, in words; "" for everywhere.
    """

    role: ShownRole
    users: list[User]
    more: int
    scope: str = ""


@dataclass(frozen=True)
class Permission:
    """A right, who has it, and what using it needs besides."""

    right: Right
    name: str
    text: str | Promise
    holders: list[Holders]
    conditions: list[str]


def conditions_of(rights: Sequence[Right], subject: object = None) -> dict[Right, list[str]]:
    """Return in sentences what else is needed to use each of these rights, on a subject or wherever."""
    found = [condition(rights, subject) for condition in _registry.conditions]
    return {right: [sentence for each in found for sentence in each.get(right, ())] for right in rights}


def list_permissions(rights: Sequence[Right], viewer: object, subject: object = None) -> list[Permission]:
    """Return who has each of these rights on a subject: everywhere, or for a scope that covers its place.

    Four queries, those that name the scopes, and those of the conditions.
    """
    users: dict[str, list[User]] = defaultdict(list)
    for user in User.objects.filter(is_active=True).only("pk", "username", "role"):
        users[user.role].append(user)
    scoped = _users_by_scope(subject)
    roles = list_roles(viewer)
    conditions = conditions_of(rights, subject)
    texts = {right: text for _area, rows in AREAS for right, text in rows.items()}
    return [
        Permission(
            right,
            name_right(right),
            texts[right],
            [_holders(role, users[role.code]) for role in roles if users[role.code] and right in role.rights]
            + [
                _holders(role, found, scope)
                for role in roles
                for (code, scope), found in scoped.items()
                if code == role.code and right in role.rights & SCOPED_RIGHTS
            ],
            conditions[right],
        )
        for right in rights
    ]


def _holders(role: ShownRole, users: list[User], scope: str = "") -> Holders:
    return Holders(role, users[:USERS_NAMED], max(len(users) - USERS_NAMED, 0), scope)


def _users_by_scope(subject: object) -> dict[tuple[str, str], list[User]]:
    """Return the active users of each role that is given for a scope, by role and scope in words, that covers a subject."""
    found: dict[tuple[str, str], list[User]] = defaultdict(list)
    for place in getattr(subject, "places", ()):
        values = (place.vault, place.group, *place.tags)
        rows = RoleAssignment.objects.filter(scope_value__in=values, user__is_active=True).select_related("user")
        covering = [each for each in rows.order_by("user__username") if each.covers(place)]
        for each, scope in zip(covering, describe_scopes(covering), strict=True):
            found[each.role, scope].append(each.user)
    return found


def render_permissions(
    request: HttpRequest, subject: Model, *, rights: Sequence[Right], back: str, scope_note: str = ""
) -> HttpResponse:
    """Render who may do what with a key group, a credential or a vault. ``scope_note`` says what is not shown here."""
    permissions = list_permissions(rights, request.user, subject)
    context = {"subject": subject, "back": back, "permissions": permissions, "scope_note": scope_note}
    return render(request, "accounts/permissions.html", context)
