"""What depends on a user's rights in the packages above, which register here: shown before, and ended with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kmes.accounts.models import RoleAssignment, User
from kmes.core.actor import Actor


class Dependent(Protocol):
    """Something that was requested by users and waits to be done."""

    def describe(self, user: User, kept: User) -> list[str]:
        """Return in sentences what ends when the user has only the rights of ``kept``, which is no row."""

    def end(self, user: User, kept: User, actor: Actor) -> None:
        """End it, in the transaction that takes the rights away."""


@dataclass
class _Registry:
    dependents: tuple[Dependent, ...] = ()


_registry = _Registry()


def register(dependent: Dependent) -> None:
    """Have a package told when rights are taken away."""
    _registry.dependents += (dependent,)


def describe(user: User, *, role: str = "", without: RoleAssignment | None = None) -> list[str]:
    """Return in sentences what ends when a user gets this role everywhere; without a role, when they are deactivated.

    ``without`` is a role for a scope that the user loses.
    """
    kept = _kept(user, role, without)
    return [sentence for each in _registry.dependents for sentence in each.describe(user, kept)]


def end(user: User, *, role: str = "", actor: Actor) -> None:
    """End what depends on the rights that a user loses. Call it in the transaction of the change, after it."""
    kept = _kept(user, role, None)
    for each in _registry.dependents:
        each.end(user, kept, actor)


def _kept(user: User, role: str, without: RoleAssignment | None) -> User:
    """Return the user as they are to be: with this role everywhere, and with the roles for scopes as rows have them."""
    kept = User(pk=user.pk, username=user.username, role=role, is_active=bool(role))
    rows = RoleAssignment.objects.filter(user=user)
    kept.scoped_roles = tuple(rows.exclude(pk=without.pk) if without is not None else rows) if role else ()
    return kept
