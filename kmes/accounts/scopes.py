"""Scopes: the part of the keys for which a role is given, and what lies in one.

Knows key groups and vaults by plain ids only: their packages are above this one. Says nothing of who has which role.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from django.db import models
from django.utils.translation import gettext_lazy as _


class ScopeKind(models.TextChoices):
    """What a scope names."""

    VAULT = "vault", _("Key vault")
    GROUP = "group", _("Key group")
    TAG = "tag", _("Tag")


@dataclass(frozen=True)
class Place:
    """Where somebody acts: on a key group, or on a vault (then ``group`` is "")."""

    # The vault's URL, as ``vault_value`` returns it: one vault may be known through several credentials.
    vault: str
    group: str = ""
    # Each as ``name=value``.
    tags: frozenset[str] = frozenset()

    def is_in(self, kind: str, value: str) -> bool:
        """Return whether the place lies in the scope of this kind and value."""
        if kind == ScopeKind.VAULT:
            return bool(value) and value == self.vault
        if kind == ScopeKind.GROUP:
            return bool(value) and value == self.group
        return kind == ScopeKind.TAG and value in self.tags


class Located(Protocol):
    """The object of an action: a key group, a key, a version, a vault, a job."""

    @property
    def places(self) -> tuple[Place, ...]:
        """Return where it is; each of them has to lie in a scope. None: it has no place, and no scope covers it."""


def vault_value(url: str) -> str:
    """Return the value by which scopes name a vault."""
    return url.rstrip("/").lower()


def tag_values(tags: object) -> frozenset[str]:
    """Return the values by which scopes name tags. A column that holds something else has none."""
    return frozenset(f"{name}={value}" for name, value in tags.items()) if isinstance(tags, dict) else frozenset()


def places_of(objects: Iterable[Located]) -> tuple[Place, ...]:
    """Return the places of objects, each once."""
    return tuple(dict.fromkeys(place for each in objects for place in each.places))
