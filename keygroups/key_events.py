"""The events of one key, or of all keys of its group, from all three logs, merged, and the moments of them that a lifeline marks. Reads only.

They are the key's own rows, those of its group that name no key, those of its jobs that name no other key, and what
changed, since the key was made, who may act on keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from keygroups.models import Key, KeyGroup
from kmes.core.clock import stamp
from kmes.core.ids import job_label
from logging_reports.choices import SEVERITY_COLOURS, Service, Severity
from logging_reports.events import EVENTS
from logging_reports.models import LogEntry
from logging_reports.safe_text import visible

SHOWN, MOST = 200, 2000
# Jobs of the key whose other rows are looked at, the newest first.
_JOBS = 200
# Rights are given by roles, so that these change who may act on any key.
_RIGHTS_EVENTS = (
    *("role.created", "role.updated", "role.deleted", "user.deactivated", "user.reactivated"),
    *("user.role_given", "user.role_taken"),
)
_ROLE_CHANGED = Q(event="user.updated", severity=Severity.WARNING)
# Events that begin or end a stretch of a version's bar.
_EDGES = (
    *("key.created", "azure.key_imported", "azure.import_verified", "azure.version_updated", "azure.rotation_done"),
    "key.destroyed",
)
# Those that end or begin a stretch of all versions of the Azure key; their rows name no key.
_EDGES_OF_ALL = ("azure.key_deleted", "azure.key_recovered", "azure.key_purged")
_MOST_EDGES = 400


@dataclass(frozen=True)
class KeyEvent:
    """One row of a log, as the key's page shows it."""

    row: LogEntry
    log: str
    label: str
    colour: str
    message: str
    actor: str
    url: str
    # The ids of the keys it is about; "all" for those of the Azure key as a whole.
    versions: tuple[str, ...] = ()

    @property
    def job(self) -> str:
        """What pages call its job; "" without one."""
        return job_label(self.row.job_code)


@dataclass(frozen=True)
class Edge:
    """A moment at which something happened to a version: what, by whom and by which job; ``url`` leads there."""

    at: datetime
    text: str
    url: str


def list_key_events(key: Key, *, limit: int = SHOWN) -> tuple[list[KeyEvent], bool]:
    """Return the newest events of a key, newest first, and whether there are older ones. Nine queries."""
    own = Q(key_id=str(key.pk))
    of_group = Q(group_id=str(key.group_id), key_id="", at__gte=key.created_at)
    return _list_events(own, of_group, since=key.created_at, limit=limit)


def list_group_events(group: KeyGroup, *, limit: int = SHOWN) -> tuple[list[KeyEvent], bool]:
    """Return the newest events of a group and all its keys, newest first, and whether there are older ones."""
    of_group = Q(group_id=str(group.pk))
    return _list_events(of_group & ~Q(key_id=""), of_group & Q(key_id=""), since=group.created_at, limit=limit)


def _list_events(own: Q, of_group: Q, *, since: datetime, limit: int) -> tuple[list[KeyEvent], bool]:
    rows: dict[int, LogEntry] = {}
    jobs: dict[UUID, set[str]] = {}
    for service in Service:
        log = LogEntry.objects.filter(service=service).order_by("-sequence")
        of_keys = list(log.filter(own)[: limit + 1])
        for row in of_keys:
            if row.job_id is not None:
                jobs.setdefault(row.job_id, set()).add(row.key_id)
        rows |= {row.pk: row for row in (*of_keys, *log.filter(of_group)[: limit + 1])}
    of_jobs = LogEntry.objects.filter(service__in=Service.values, job_id__in=list(jobs)[:_JOBS], key_id="")
    rights = LogEntry.objects.filter(_ROLE_CHANGED | Q(event__in=_RIGHTS_EVENTS), service=Service.AUDIT)
    for found in (of_jobs, rights.filter(at__gte=since)):
        rows |= {row.pk: row for row in found.order_by("-sequence")[: limit + 1]}
    ordered = sorted(rows.values(), key=lambda row: (row.at, row.service, row.sequence), reverse=True)
    events = [replace(_event(row), versions=_versions_of(row, jobs)) for row in ordered[:limit]]
    return events, len(ordered) > limit


def _versions_of(row: LogEntry, jobs: Mapping[UUID, set[str]]) -> tuple[str, ...]:
    """Return the keys that a row is about. A row of a job that names none is about those its other rows name."""
    if row.key_id:
        return (row.key_id,)
    if row.event in _EDGES_OF_ALL:
        return ("all",)
    return tuple(sorted(jobs.get(row.job_id, ()))) if row.job_id is not None else ()


def edges_of_keys(keys: Sequence[Key]) -> dict[UUID, list[Edge]]:
    """Return the moments that the logs hold of each version of one group's keys, oldest first. Two queries."""
    made = {key.pk: key.created_at for key in keys}
    groups = {str(key.group_id) for key in keys}
    found: dict[UUID, list[Edge]] = defaultdict(list)
    log = LogEntry.objects.filter(service__in=(Service.AZURE, Service.AUDIT)).order_by("-at", "-sequence")
    own = log.filter(key_id__in=[str(each) for each in made], event__in=_EDGES)[:_MOST_EDGES]
    of_all = log.filter(group_id__in=groups, key_id="", event__in=_EDGES_OF_ALL)[:_MOST_EDGES]
    for row in sorted([*own, *of_all], key=lambda row: (row.at, row.sequence)):
        event = _event(row)
        job = f", {job_label(row.job_code)}" if row.job_code else ""
        text = _("%(event)s: %(moment)s UTC by %(actor)s%(job)s") % {
            "event": event.label,
            "moment": stamp(row.at),
            "actor": event.actor or "–",
            "job": job,
        }
        url = reverse("jobs:detail", args=[row.job_code]) if row.job_code else event.url
        concerned = [UUID(row.key_id)] if row.key_id else [each for each, at in made.items() if at <= row.at]
        for each in concerned:
            found[each].append(Edge(row.at, text, url))
    return found


def _event(row: LogEntry) -> KeyEvent:
    return KeyEvent(
        row,
        str(Service(row.service).label),
        str(EVENTS[row.event].label) if row.event in EVENTS else row.event,
        SEVERITY_COLOURS.get(row.severity, "info"),
        visible(row.message),
        visible(row.actor_name),
        reverse("logs:detail", args=[row.service, row.sequence]),
    )
