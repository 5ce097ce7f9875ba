"""What depends on a user's rights in the packages above, which register here: shown before, and ended with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kmes.accounts.models import User
from kmes.accounts.rights import Right, rights_of
from kmes.core.actor import Actor


class Dependent(Protocol):
    """Something that was requested by users and waits to be done."""

    def describe(self, user: User, kept: frozenset[Right]) -> list[str]:
        """Return in sentences what ends when the user keeps only these rights."""

    def end(self, user: User, kept: frozenset[Right], actor: Actor) -> None:
        """End it, in the transaction that takes the rights away."""


@dataclass
class _Registry:
    dependents: tuple[Dependent, ...] = ()


_registry = _Registry()


def register(dependent: Dependent) -> None:
    """Have a package told when rights are taken away."""
    _registry.dependents += (dependent,)


def describe(user: User, *, role: str = "") -> list[str]:
    """Return in sentences what ends when a user gets this role; without a role, when the user is deactivated."""
    kept = _kept(role)
    return [sentence for each in _registry.dependents for sentence in each.describe(user, kept)]


def end(user: User, *, role: str = "", actor: Actor) -> None:
    """End what depends on the rights that a user loses. Call it in the transaction of the change, after it."""
    for each in _registry.dependents:
        each.end(user, _kept(role), actor)


def _kept(role: str) -> frozenset[Right]:
    return rights_of(role) if role else frozenset()
