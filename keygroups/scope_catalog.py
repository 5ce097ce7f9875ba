"""The vaults, key groups and tags for which a role can be given, as ``kmes.accounts.assignments`` asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from cloudcreds.models import KeyVault
from keygroups.filters import read_uuid
from keygroups.models import KeyGroup
from kmes.accounts.scopes import ScopeKind, tag_values, vault_value

SUGGESTED = 20


class ScopeCatalog:
    """Reads rows of vaults and key groups."""

    def find(self, kind: str, text: str) -> str:
        """Return the value of a scope: of a vault by name or URL, of a key group by name or id, of a tag as ``name=value``."""
        wanted = text.strip()
        if kind == ScopeKind.GROUP:
            group_id = read_uuid(wanted)
            named = KeyGroup.objects.filter(pk=group_id) if group_id else KeyGroup.objects.filter(name__iexact=wanted)
            found = named.values_list("pk", flat=True).first()
            return str(found) if found is not None else ""
        if kind == ScopeKind.TAG:
            return wanted if wanted in _tags() else ""
        vaults, by_url = _vaults(), vault_value(wanted)
        if by_url in vaults:
            return by_url
        called = [value for value, name in vaults.items() if name.casefold() == wanted.casefold()]
        # Of two vaults of one name, neither is meant for sure.
        return called[0] if len(called) == 1 else ""

    def labels(self, kind: str, values: Sequence[str]) -> dict[str, str]:
        """Return the names of the values that are still there. A tag is its own name, whether a group has it or not."""
        if kind == ScopeKind.GROUP:
            names = KeyGroup.objects.filter(pk__in=values).values_list("pk", "name")
            return {str(pk): name for pk, name in names}
        if kind == ScopeKind.TAG:
            return {value: value for value in values}
        vaults = _vaults()
        return {value: vaults[value] for value in values if value in vaults}

    def suggest(self, kind: str, text: str) -> list[str]:
        """Return the first names that hold this text."""
        wanted = text.strip()
        if kind == ScopeKind.GROUP:
            found = KeyGroup.objects.filter(name__icontains=wanted).order_by("name")
            return list(found.values_list("name", flat=True)[:SUGGESTED])
        names = _tags() if kind == ScopeKind.TAG else _shown_vaults()
        return sorted(name for name in names if wanted.casefold() in name.casefold())[:SUGGESTED]


def _vaults() -> dict[str, str]:
    """Return the names of the vaults by the values of their scopes."""
    return {vault_value(url): name for url, name in KeyVault.objects.values_list("url", "name")}


def _shown_vaults() -> list[str]:
    """Return what finds each vault: its name, or its URL where another one has the same name."""
    vaults = _vaults()
    names = [name.casefold() for name in vaults.values()]
    return [name if names.count(name.casefold()) == 1 else url for url, name in vaults.items()]


def _tags() -> set[str]:
    """Return the tags that key groups have."""
    rows = KeyGroup.objects.exclude(tags={}).values_list("tags", flat=True)
    return set().union(*map(tag_values, rows))
