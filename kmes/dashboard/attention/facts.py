"""Finds what needs attention, from rows and heartbeats. Reads only; bounded queries, whatever the number of objects."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import CharField, F, IntegerField, OuterRef, Q, QuerySet, Subquery, TextField, UUIDField, Value
from django.db.models.functions import Cast

from cloudcreds.models import CloudCredential, KeyVault, VaultCircuit
from cloudcreds.selectors import EXPIRY_WARNING_DAYS
from hsm.mfk_guard import MfkState, compare, describe
from hsm.models import HsmDevice
from jobs.choices import FAILED_STATES, FINAL_STATES, SUCCEEDED_STATES, KekState
from jobs.engine.break_glass import list_unreviewed
from jobs.models import EphemeralKek, Job, ScheduleClock
from keygroups.choices import VersionState
from keygroups.models import CloudVersion, KeyGroup, Observation
from keygroups.rotation_standing import is_late
from keygroups.selectors import is_expiring
from kmes.accounts.rights import Role
from kmes.core.clock import now
from kmes.core.separation import read_record
from kmes.dashboard import selectors
from kmes.dashboard.heartbeats import Heartbeats

FAILED_JOBS_DAYS = 7
# Jobs that were requested earlier are not looked at, so that the query reads part of an index.
_REQUESTED_WITHIN = timedelta(days=30)
# Objects of one matter that are told apart; of more than these only a part is read.
MOST = 500
_ROWS_READ = 2 * MOST + 1
_NO_ID = UUID(int=0)
FEWEST_ADMINISTRATORS = 2
_EXPIRED = "expired"


@dataclass(frozen=True)
class Fact:
    """One thing that needs attention: of which matter, about which object, since or until when.

    ``state`` is how the object stands, where it can get worse: an acknowledgement covers one state.
    """

    matter: str
    subject: str = ""
    label: str = ""
    detail: str = ""
    at: datetime | None = None
    state: str = ""


def collect(heartbeats: Heartbeats, device: HsmDevice | None) -> list[Fact]:
    """Return everything that needs attention, acknowledged or not. Eight queries at most.

    ``device`` is what ``selectors.find_device`` returns.
    """
    return [
        *_of_processes(heartbeats, device if device and device.is_designated else None),
        *_of_people(),
        *_of_broken_glass(),
        *_of_groups(),
        *_of_other_rows(),
        *_of_credentials(selectors.list_credentials(), selectors.list_vaults()),
    ]


# --- Processes and device --------------------------------------------------------------------
def _of_processes(heartbeats: Heartbeats, device: HsmDevice | None) -> list[Fact]:
    found = [*_of_heartbeats(heartbeats), *_of_device(heartbeats, device)]
    separation = read_record(settings.KMES_STATE_DIR)
    if separation is not None and separation.is_warning:
        found.append(Fact("separation", detail=separation.reason))
    return found


def _of_heartbeats(heartbeats: Heartbeats) -> list[Fact]:
    if not heartbeats.redis_up:
        return [Fact("redis")]
    found = []
    if not heartbeats.workers:
        found.append(Fact("worker"))
    elif not heartbeats.fit_workers:
        found.append(Fact("no-fit-worker"))
    else:
        others = [worker for worker in heartbeats.workers if worker.schema != "ok"]
        found += [Fact("releases", worker.host[:36], worker.host, worker.version) for worker in others]
    if not heartbeats.beat_alive:
        found.append(Fact("beat"))
    return found


def _of_device(heartbeats: Heartbeats, device: HsmDevice | None) -> list[Fact]:
    if device is None:
        return [Fact("no-device")]
    found = []
    if heartbeats.device not in {"ok", "unknown"}:
        found.append(Fact("device", detail=heartbeats.device, label=str(device), state=heartbeats.device[:32]))
    elif heartbeats.device == "unknown" and selectors.is_silent(device.last_seen_at):
        found.append(Fact("silent-device", label=str(device), at=device.last_seen_at))
    mfk = compare(device)
    if mfk not in {MfkState.OK, MfkState.NONE}:
        found.append(Fact("mfk", detail=" ".join(describe(mfk)), state=mfk.value))
    return found


def _of_people() -> list[Fact]:
    names = get_user_model().objects.filter(is_active=True, role=Role.ADMIN).values_list("username", flat=True)[:2]
    return [] if len(names) >= FEWEST_ADMINISTRATORS else [Fact("administrators")]


def _of_broken_glass() -> list[Fact]:
    """Return what was done without approvals and nobody else has reviewed. One query."""
    return [
        Fact("break-glass", str(each.request.job_id), str(each.request.job), each.user_name, each.decided_at)
        for each in list_unreviewed()
    ]


# --- Rows ------------------------------------------------------------------------------------
def _of_groups() -> list[Fact]:
    late = KeyGroup.objects.annotate(late_now=is_late()).filter(Q(late_now=True) | Q(differences__gt=0))
    rows = late.order_by("next_due_at", "pk").values("pk", "name", "late_now", "differences", "next_due_at")
    found, read = [], list(rows[:_ROWS_READ])
    differences = _digests_of_differences([row["pk"] for row in read if row["differences"]])
    for row in read:
        if row["late_now"]:
            found.append(Fact("late-rotations", str(row["pk"]), row["name"], at=row["next_due_at"]))
        if row["differences"]:
            found.append(Fact("drift", str(row["pk"]), row["name"], state=differences.get(row["pk"], "")))
    return found


def _digests_of_differences(groups: Sequence[UUID]) -> dict[UUID, str]:
    """Return for each of these key groups a digest of which versions differ, and how. One query at most."""
    if not groups:
        return {}
    found: dict[UUID, list[tuple[str, list[str]]]] = defaultdict(list)
    rows = Observation.objects.filter(group__in=groups, is_accepted=False).exclude(flags=[])
    for group, version, flags in rows.order_by("azure_version").values_list("group", "azure_version", "flags"):
        found[group].append((version, flags))
    return {group: hashlib.sha256(repr(seen).encode()).hexdigest()[:32] for group, seen in found.items()}


def failed_jobs() -> QuerySet[Job]:
    """Return the jobs that failed in the last seven days, wholly or in part, and were not made good.

    A job is made good by its retry, or by a later success of its kind on the same key group or credential.
    """
    moment = now()
    later = Job.objects.filter(
        kind=OuterRef("kind"), state__in=SUCCEEDED_STATES, created_at__gt=OuterRef("created_at")
    ).order_by()
    # Looked up for each failed job: as a join, PostgreSQL compares each of them with every job.
    retry = Subquery(Job.objects.filter(retry_of=OuterRef("pk")).order_by().values("pk")[:1])
    of_group = Subquery(later.filter(group=OuterRef("group")).values("pk")[:1])
    of_credential = Subquery(later.filter(group=None, credential=OuterRef("credential")).values("pk")[:1])
    return Job.objects.alias(retry=retry, of_group=of_group, of_credential=of_credential).filter(
        # The cheap half first: a credential may have as many jobs as all its key groups.
        ~(Q(group=None) & Q(of_credential__isnull=False)),
        retry=None,
        of_group=None,
        state__in=FAILED_STATES,
        created_at__gte=moment - _REQUESTED_WITHIN,
        finished_at__gte=moment - timedelta(days=FAILED_JOBS_DAYS),
        # Parts are told by the job that opened them.
        part_of=None,
    )


def keks_left_over() -> QuerySet[EphemeralKek]:
    """Return the KEKs that may still be in a vault although their job has ended."""
    return EphemeralKek.objects.filter(state__in=[KekState.PLANNED, KekState.LIVE], job__state__in=FINAL_STATES)


def _of_other_rows() -> list[Fact]:
    """Return what schedule, vaults, jobs, KEKs and versions tell, the rarer first. Two queries.

    Failed jobs are read by themselves: there can be so many that nothing else would be read.
    """
    versions = CloudVersion.objects.all()
    of_version = ("key_id", "key__name", "group__name")
    parts = [
        _told(1, "schedule-held", ScheduleClock.objects.filter(held_since__isnull=False), at="held_since"),
        _told(
            2,
            "paused-vaults",
            VaultCircuit.objects.filter(retry_at__isnull=False),
            ("vault_id", "vault__name", "last_error"),
            "opened_at",
        ),
        _told(3, "keks", keks_left_over(), ("pk", "name", "vault__name"), "created_at"),
        _told(4, "missing-versions", versions.filter(state=VersionState.MISSING), of_version, "updated_at"),
        _told(5, "expiring-versions", versions.filter(is_expiring()), of_version, "expires_at"),
    ]
    failed = _told(6, "failed-jobs", failed_jobs(), ("pk", "subject", "error_what"), "finished_at")
    rows = [
        *parts[0].union(*parts[1:], all=True).order_by("rank", "moment")[: 2 * _ROWS_READ],
        *failed.order_by("moment")[:_ROWS_READ],
    ]
    return [
        Fact(
            row["matter"],
            str(row["object_id"]) if row["object_id"] != _NO_ID else "",
            row["called"][:200],
            row["told"],
            row["moment"],
            _state_of(row),
        )
        for row in rows
    ]


def _state_of(row: dict[str, Any]) -> str:
    """Return how an object stands whose matter can get worse."""
    if row["matter"] == "schedule-held":
        return str(row["told"][:32])
    return _EXPIRED if row["matter"] == "expiring-versions" and row["moment"] <= now() else ""


def _told(
    rank: int, matter: str, rows: QuerySet[Any], columns: tuple[str, str, str] | None = None, at: str = ""
) -> QuerySet[Any, Any]:
    """Return rows in the columns that all parts of the union share; ``columns``: the id, the name, the detail."""
    of_id, called, told = columns or ("", "", "")
    return rows.order_by().values(
        rank=Value(rank, IntegerField()),
        matter=Value(matter, CharField()),
        object_id=F(of_id) if of_id else Value(_NO_ID, UUIDField()),
        called=Cast(F(called), TextField()) if called else Value("", TextField()),
        told=Cast(F(told), TextField()) if told else F("held_reason"),
        moment=F(at),
    )


def _of_credentials(credentials: list[CloudCredential], vaults: list[KeyVault]) -> list[Fact]:
    """Return what is wrong with credentials, and which vaults no call has reached. No query."""
    today = now().date()
    soon = today + timedelta(days=EXPIRY_WARNING_DAYS)
    found = []
    for each in credentials:
        subject = str(each.pk)
        if each.sign_in_expires_on is not None and each.sign_in_expires_on <= soon:
            state = _EXPIRED if each.sign_in_expires_on < today else ""
            found.append(
                Fact("expiring-secrets", subject, each.name, f"{each.sign_in_expires_on:%Y-%m-%d}", state=state)
            )
        if each.last_test_ok is False:
            found.append(Fact("failing-credentials", subject, each.name, at=each.last_tested_at))
        if each.last_tested_at is None:
            found.append(Fact("untested-credentials", subject, each.name))
    found += [Fact("unseen-vaults", str(vault.pk), vault.name) for vault in vaults if vault.seen_at is None]
    return found
