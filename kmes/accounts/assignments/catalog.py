"""What scopes can name. The package that knows vaults and key groups hands it in; nothing here reads their rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from django.utils.translation import gettext as _

from kmes.accounts.models import RoleAssignment
from kmes.accounts.scopes import ScopeKind
from kmes.core import language


class Catalog(Protocol):
    """The vaults, key groups and tags that there are."""

    def find(self, kind: str, text: str) -> str:
        """Return the value of what a user typed or chose, "" when there is no such thing."""

    def labels(self, kind: str, values: Sequence[str]) -> dict[str, str]:
        """Return the names of values; one that is gone is left out."""

    def suggest(self, kind: str, text: str) -> list[str]:
        """Return a few names that hold this text."""


@dataclass
class _Installed:
    catalog: Catalog | None = None


_installed = _Installed()


def install(catalog: Catalog) -> None:
    """Hand the catalog in. Called once, at start-up."""
    _installed.catalog = catalog


def catalog() -> Catalog:
    """Return the catalog."""
    assert _installed.catalog is not None
    return _installed.catalog


class Scoped(Protocol):
    """Something for a scope: a role that a user has, or an approval policy."""

    @property
    def scope_kind(self) -> str:
        """What the scope names."""

    @property
    def scope_value(self) -> str:
        """Which one."""


def describe_scopes(assignments: Sequence[Scoped]) -> list[str]:
    """Return each scope in words, in order; at most one query for each kind of scope."""
    labels = {
        kind: catalog().labels(kind, sorted({each.scope_value for each in assignments if each.scope_kind == kind}))
        for kind in ScopeKind.values
        if any(each.scope_kind == kind for each in assignments)
    }
    return [
        _TEXTS[ScopeKind(each.scope_kind)]() % {"name": labels[each.scope_kind][each.scope_value]}
        if each.scope_value in labels.get(each.scope_kind, {})
        else _("%(scope)s that was deleted (%(value)s)") % {"scope": each.scope_kind, "value": each.scope_value}
        for each in assignments
    ]


def recorded_scope(assignment: RoleAssignment) -> str:
    """Return a scope as rows of the log say it."""
    with language.of_records():
        return describe_scopes([assignment])[0]


_TEXTS: dict[ScopeKind, Callable[[], str]] = {
    ScopeKind.VAULT: lambda: _("key vault %(name)s"),
    ScopeKind.GROUP: lambda: _("key group %(name)s"),
    ScopeKind.TAG: lambda: _("key groups with the tag %(name)s"),
}
