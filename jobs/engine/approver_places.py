"""Where a role for a scope counts for an approval: in the scopes of a job that its requester did not bring it into.

Users who are not approvers change vault and tags, so rows of key groups are not enough. A scope counts if, according to
the log, the key group lies in it and either somebody else than the requester put it there or this was long ago.
``jobs.engine.approval_places`` answers the opposite question: which policies apply.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from jobs.engine.approval_policies import PolicyKey
from jobs.engine.approver_accounts import NOT_COUNTED
from jobs.models import Job, JobTarget
from jobs.spec import registry
from keygroups.models import Key, KeyGroup
from kmes.accounts.models import RoleAssignment, User
from kmes.accounts.scopes import Place, places_of, vault_value
from kmes.core.clock import now
from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.redaction import MASK

# What nobody's role for a scope covers.
_NOWHERE = Place("")


@dataclass
class _Told:
    """What the log tells of a key group: its vault and tags, each with who changed it to that, and when."""

    vault: str = ""
    tags: set[str] = field(default_factory=set)
    moved_by: dict[str, tuple[int | None, datetime]] = field(default_factory=dict)

    def is_brought_by(self, user_id: int | None, value: str) -> bool:
        """Return whether a user moved the key group into this vault, or gave it this tag, not long ago."""
        by, at = self.moved_by.get(value, (None, None))
        return by is not None and by == user_id and at is not None and at > now() - NOT_COUNTED


def approving_places(job: Job) -> tuple[Place, ...]:
    """Return the places that a role for a scope has to cover, so that approvals of its users count for a job.

    None where only roles that count everywhere do: for what is about no key group, and for changes of settings. Three
    queries.
    """
    if registry.is_applied_by_requester(job):
        return ()
    # A row that somebody changed in the database is shown like any other.
    params = job.params if isinstance(job.params, dict) else {}
    named = params.get("group_ids", ())
    groups = {str(each) for each in (job.group_id, *named) if each}
    keys = {str(each) for each in JobTarget.objects.filter(job=job).values_list("key", flat=True)}
    keys |= {str(key) for link in params.get("then", ()) for key in link.get("keys", ())}
    groups |= {str(each) for each in Key.objects.filter(pk__in=keys).values_list("group", flat=True)}
    made = LogEntry.objects.filter(service=Service.AUDIT, event="key.created", key_id__in=keys)
    told = {key_id: group_id for key_id, group_id in made.values_list("key_id", "group_id") if group_id}
    if keys - told.keys():
        # Nobody knows where these were made.
        return (_NOWHERE,)
    groups |= set(told.values())
    found = places_of(KeyGroup.objects.filter(pk__in=groups).select_related("vault"))
    if len(found) < len(groups):
        return (_NOWHERE,)
    history = _read_history(groups)
    return tuple(_counted(place, history[place.group], job.requested_by_id) for place in found)


def find_approvers(role: str, policy: PolicyKey) -> QuerySet[User]:
    """Return the active users who could approve under a policy that names a role.

    They have it everywhere, or for just the scope of the policy. Which key groups lie in another scope changes.
    """
    has_role = Q(role=role)
    if policy.scope_kind:
        scope = {"scope_kind": policy.scope_kind, "scope_value": policy.scope_value}
        has_role |= Q(Exists(RoleAssignment.objects.filter(user=OuterRef("pk"), role=role, **scope)))
    return User.objects.filter(has_role, is_active=True)


def _counted(place: Place, told: _Told, requester_id: int | None) -> Place:
    vault = place.vault if told.vault == place.vault and not told.is_brought_by(requester_id, place.vault) else ""
    tags = {each for each in place.tags & told.tags if not told.is_brought_by(requester_id, each)}
    return Place(vault, place.group, frozenset(tags))


def _read_history(group_ids: set[str]) -> defaultdict[str, _Told]:
    """Return what the log tells of these key groups; nothing of those that it does not tell of."""
    found: defaultdict[str, _Told] = defaultdict(_Told)
    events = ("group.created", "group.updated")
    rows = LogEntry.objects.filter(service=Service.AUDIT, event__in=events, group_id__in=group_ids)
    columns = ("event", "group_id", "data", "truncated", "actor_user_id", "at")
    for event, group_id, data, is_cut, user_id, at in rows.order_by("sequence").values_list(*columns):
        row = data if isinstance(data, dict) else {}
        told = found[group_id]
        if event == "group.created":
            told.vault, told.tags = vault_value(_text(row.get("vault"))), _tags(row.get("tags"))
        else:
            _follow(told, row.get("changed"), (user_id, at))
        if is_cut:
            # Not told in full.
            told.tags = set()
    return found


def _follow(told: _Told, changed: Any, by: tuple[int | None, datetime]) -> None:
    pairs = changed if isinstance(changed, dict) else {}
    vault, tags = pairs.get("vault"), pairs.get("tags")
    if isinstance(vault, list) and vault:
        told.vault = vault_value(_text(vault[-1]))
        told.moved_by[told.vault] = by
    if isinstance(tags, list) and tags:
        after = _tags(tags[-1])
        told.moved_by |= dict.fromkeys(after - told.tags, by)
        told.tags = after


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _tags(value: object) -> set[str]:
    text = _text(value)
    return set() if MASK in text else {line for line in text.split("\n") if line}
