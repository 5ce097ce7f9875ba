"""The scans that beat triggers: they find work that no worker has, and rotations that are due.

Each scan may run any number of times and on any number of workers. A conditional UPDATE or a unique row prevents
doubles, never the scheduler.
"""

from __future__ import annotations

import json
import logging
import socket
from collections import Counter
from datetime import timedelta
from uuid import UUID

import redis
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Max, Q

from cloudcreds.models import CloudCredential
from hsm.device import get_device
from hsm.mfk_guard import watch_mfk
from hsm.services import record_availability, record_worker
from jobs import due_rotations
from jobs.choices import FINAL_STATES, JobState
from jobs.engine import precedence
from jobs.journal.intents import UNRESOLVED_STATES
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.list_vaults.spec import request_vault_list
from jobs.models import Intent, Job
from jobs.schedule import clock_guard
from jobs.spec import registry
from keygroups import rotation_slots
from keygroups.choices import GroupCloudState
from keygroups.models import KeyGroup
from kmes.core import options
from kmes.core.actor import SCHEDULE
from kmes.core.clock import now
from kmes.core.errors import DeviceError
from kmes.core.heartbeats import HEARTBEAT_SECONDS, worker_key
from kmes.core.redis_connection import connect
from kmes.core.schema import Fit, check_fit
from kmes.core.version import VERSION
from logging_reports.notices import deliveries, queue

logger = logging.getLogger(__name__)

SCAN_LIMIT = 200
# Comparisons requested at once: each lists a group's versions, which must not delay pushes.
COMPARISONS_PER_VAULT = 3
# Credentials whose vaults are read at once; the others follow with the next scans.
READINGS_PER_SCAN = 2


def find_claimable(*, has_hints: bool = False) -> list[UUID]:
    """Return the jobs that are due, or whose lease has expired, in the order in which they go.

    ``has_hints``: the broker still holds hints. Then a job that fell due before the last scans has one, and is left
    out; a hint that was lost is made up for when the broker holds none.
    """
    moment = now()
    queued = Q(state=JobState.QUEUED, run_after__lte=moment)
    if has_hints:
        queued &= Q(run_after__gt=moment - 2 * timedelta(seconds=settings.KMES_SCAN_SECONDS))
    due = Job.objects.filter(queued | Q(state=JobState.RUNNING, lease_until__lt=moment))
    return list(precedence.ranked(due).values_list("pk", flat=True)[:SCAN_LIMIT])


def publish_heartbeat() -> bool:
    """Publish that a worker is alive, whether its device answers, and which release it is.

    Returns whether this code fits the database's schema; if not, the worker writes no rows.
    """
    host, fit = socket.gethostname(), _fit()
    device, serial = _check_device()
    if fit == Fit.OK:
        record_availability(code=device, serial=serial)
        record_worker(host=host, state=device, serial=serial)
        watch_mfk()
    word = {
        "at": now().isoformat(),
        "device": device,
        "schema": fit,
        "version": VERSION,
        "kinds": sorted(spec.kind for spec in registry),
    }
    try:
        with connect(seconds=2) as client:
            client.set(worker_key(host), json.dumps(word), ex=HEARTBEAT_SECONDS)
    except redis.RedisError:
        logger.warning("the heartbeat could not be left in Redis")
    if fit != Fit.OK:
        logger.warning("release %s does no work: the database's schema is %s", VERSION, fit)
    return fit == Fit.OK


def _fit() -> str:
    try:
        return check_fit()
    except DatabaseError:
        return "unknown"


def _check_device() -> tuple[str, str]:
    """Return "ok" and the device's serial number, or the code of the error."""
    try:
        here = get_device()
        here.check_health()
        return "ok", here.identity().serial
    except DeviceError as error:
        return error.code, ""


def hint_due_deliveries() -> None:
    """Send the report worker a hint when deliveries are due, because their hint was lost or they are tried again."""
    if deliveries.has_due():
        queue.hint()


def scan_drift() -> list[UUID]:
    """Request the comparison of groups that have not been compared for a while, a few at a time per vault.

    Returns the ids of the jobs created; at most one per group and day.
    """
    moment = now()
    since = moment - timedelta(hours=options.value("compare_every_hours"))
    due = KeyGroup.objects.filter(
        Q(compared_at__isnull=True) | Q(compared_at__lt=since), cloud_state=GroupCloudState.LIVE
    )
    made: list[UUID] = []
    asked: Counter[object] = Counter()
    for group in due.select_related("vault", "credential").order_by("compared_at", "pk")[:SCAN_LIMIT]:
        if asked[group.vault_id] >= COMPARISONS_PER_VAULT:
            continue
        key = f"compare:{group.pk}:{moment:%Y-%m-%d}"
        if Job.objects.filter(idempotency_key=key).exists():
            continue
        asked[group.vault_id] += 1
        made.append(request_check_drift(group=group, actor=SCHEDULE, idempotency_key=key).pk)
    return made


def scan_vaults() -> list[UUID]:
    """Request that the set-up of vaults is read again, a few credentials at a time. Returns the ids of the jobs created.

    Credentials through which no vault was ever listed are left out: most of them lack the right.
    """
    hours = options.value("read_vaults_every_hours")
    if not hours:
        return []
    moment = now()
    since = moment - timedelta(hours=hours)
    listed = CloudCredential.objects.defer("sealed_secret").alias(read_at=Max("vaults__configuration__read_at"))
    made: list[UUID] = []
    for credential in listed.filter(read_at__lt=since).order_by("read_at", "pk")[:SCAN_LIMIT]:
        # One that fails is asked for once in each period.
        key = f"vaults:{credential.pk}:{int(moment.timestamp() // timedelta(hours=hours).total_seconds())}"
        if len(made) < READINGS_PER_SCAN and not Job.objects.filter(idempotency_key=key).exists():
            made.append(request_vault_list(credential=credential, actor=SCHEDULE, idempotency_key=key).pk)
    return made


def scan_leftovers() -> list[UUID]:
    """Request a comparison where a job ended before it knew the outcome of a call to Azure.

    A push that was cancelled or failed in doubt may have made its version. Once the call can't take effect any
    more, a comparison shows whether it did. Returns the ids of the jobs created.
    """
    lately = now() - timedelta(seconds=settings.KMES_SEND_SECONDS + settings.KMES_UNKNOWN_QUARANTINE_SECONDS)
    left = Intent.objects.filter(state__in=UNRESOLVED_STATES, job__state__in=FINAL_STATES, sent_at__lt=lately)
    made: dict[UUID, UUID] = {}
    for intent in left.select_related("job__group__vault", "key__group__vault").order_by("sent_at")[:SCAN_LIMIT]:
        group = intent.key.group if intent.key else intent.job.group
        if group is None or group.pk in made:
            continue
        key = f"settle:{intent.pk}:{now():%Y-%m-%d %H}"
        if not Job.objects.filter(idempotency_key=key).exists():
            made[group.pk] = request_check_drift(group=group, actor=SCHEDULE, idempotency_key=key).pk
    return list(made.values())


def scan_rotations() -> list[UUID]:
    """Request each rotation that is due: one per group after a downtime, not one per missed period.

    One whose last attempt failed waits for the end of its pause (``keygroups.rotation_slots``).

    None begins while the clock can't be trusted (``jobs.schedule.clock_guard``). Returns the ids of the jobs created.
    """
    made: list[UUID] = []
    if not clock_guard.tick():
        return made
    due = KeyGroup.objects.filter(rotate=True, next_due_at__lte=now()).exclude(rotation_slots.is_paused())
    for group in due.select_related("vault__credential").order_by("next_due_at")[: clock_guard.allowance()]:
        job_id = due_rotations.serve(group)
        if job_id is not None:
            made.append(job_id)
    return made
