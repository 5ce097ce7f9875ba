"""Which policies for a scope a job falls under: those whose scope contains, or ever contained, something it works on.

Rows of key groups and keys are not enough: users who are not approvers change vault and tags. The log, from which no row
can be removed unnoticed, has where each key was made and which vaults and tags its key group had. Anything the log does
not mention counts as lying everywhere. So neither a move nor another tag takes a key out of a policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.engine.approval_policies import Requirement
from keygroups.models import Key, KeyGroup
from kmes.accounts.scopes import ScopeKind, places_of, vault_value
from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.redaction import MASK

_KEY_MADE = "key.created"
_GROUP_EVENTS = ("group.created", "group.updated", "group.destination_saved", "group.authorized")


@dataclass
class _Found:
    """All scopes in which something lies, by kind; ``unknown`` has the kinds of which not everything is known."""

    values: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in ScopeKind.values})
    unknown: set[str] = field(default_factory=set)

    def may_lie_in(self, kind: str, value: str) -> bool:
        """Return whether something lies in a scope, or is not known to lie outside."""
        return kind in self.unknown or value in self.values.get(kind, {value})


def lying_in(requested: Sequence[Requirement], group_ids: Iterable[Any], key_ids: Iterable[Any]) -> list[Requirement]:
    """Return those of the requirements that are about something in these key groups, or about these keys.

    Where there is neither, all of them are. At most four queries, none without a policy for a scope.
    """
    if not any(each.scope_kind for each in requested):
        return list(requested)
    found = _find_places({str(each) for each in group_ids}, {str(each) for each in key_ids})
    return [each for each in requested if not each.scope_kind or found.may_lie_in(each.scope_kind, each.scope_value)]


def _find_places(group_ids: set[str], key_ids: set[str]) -> _Found:
    found = _Found()
    groups = set(group_ids)
    groups |= {str(each) for each in Key.objects.filter(pk__in=key_ids).values_list("group", flat=True)}
    made = LogEntry.objects.filter(service=Service.AUDIT, event=_KEY_MADE, key_id__in=key_ids)
    told = [(key_id, group_id) for key_id, group_id in made.values_list("key_id", "group_id") if group_id]
    groups |= {group_id for _key_id, group_id in told}
    if key_ids - {key_id for key_id, _group_id in told} or not groups:
        found.unknown.update(ScopeKind.values)
    found.values[ScopeKind.GROUP] |= groups
    for place in places_of(KeyGroup.objects.filter(pk__in=groups).select_related("vault")):
        found.values[ScopeKind.VAULT].add(place.vault)
        found.values[ScopeKind.TAG] |= place.tags
    _add_history(found, groups)
    return found


def _add_history(found: _Found, groups: set[str]) -> None:
    """Add the vaults and tags that the log tells of these key groups."""
    rows = LogEntry.objects.filter(service=Service.AUDIT, event__in=_GROUP_EVENTS, group_id__in=groups)
    with_vault, with_tags = set(), set()
    for event, group_id, data, is_cut in rows.values_list("event", "group_id", "data", "truncated"):
        row = data if isinstance(data, dict) else {}
        vaults = [each for each in _told(event, row, "vault") if each]
        found.values[ScopeKind.VAULT] |= set(map(vault_value, vaults))
        with_vault |= {group_id} if vaults else set()
        tags = _told(event, row, "tags")
        found.values[ScopeKind.TAG] |= {line for text in tags for line in text.split("\n") if line}
        if is_cut or any(MASK in text for text in tags):
            # Not told in full.
            found.unknown.add(ScopeKind.TAG)
        with_tags |= {group_id} if event == "group.created" and tags else set()
    if groups - with_vault:
        found.unknown.add(ScopeKind.VAULT)
    if groups - with_tags:
        found.unknown.add(ScopeKind.TAG)


def _told(event: str, row: dict[str, Any], name: str) -> list[str]:
    """Return the texts, old and new, that a log row has of a field of a key group."""
    if event == "group.created":
        texts = [row.get(name)]
    elif event == "group.updated":
        changed = row.get("changed")
        pair = changed.get(name) if isinstance(changed, dict) else None
        texts = list(pair) if isinstance(pair, list) else []
    else:
        texts = [each.get(name) for each in (row.get("old"), row.get("new")) if isinstance(each, dict)]
    return [each for each in texts if isinstance(each, str)]
