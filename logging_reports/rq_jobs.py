"""Work of the report worker (django-rq, queue ``reports``): large exports and pruning them.

The only module that imports django-rq. Touches the database and the export folder; never the
HSM, Azure or a secret.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import django_rq
from django.conf import settings
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from kmes.core.actor import Actor, Trigger
from kmes.core.errors import KmesError
from logging_reports import exports
from logging_reports.selectors import LogFilter

QUEUE = "reports"
_TIMEOUT_SECONDS = 3600
_KEEP_RESULT_SECONDS = 3600


def request_export(wanted: LogFilter, *, actor: Actor) -> None:
    """Ask the report worker for an export file.

    Raises:
        KmesError: the queue can't be reached; nothing was asked for.

    """
    try:
        django_rq.get_queue(QUEUE).enqueue(
            run_export,
            asdict(wanted),
            {"name": actor.name, "trigger": actor.trigger.value, "user_id": actor.user_id},
            job_timeout=_TIMEOUT_SECONDS,
            result_ttl=_KEEP_RESULT_SECONDS,
        )
    except RedisError as error:
        raise KmesError(
            _("The report queue can't be reached, so no export was started."),
            _("Try again in a minute, or export a narrower filter directly."),
            retryable=True,
            code="queue",
        ) from error


def run_export(wanted: dict[str, Any], actor: dict[str, Any]) -> str:
    """Write the file, then prune old ones, so that the folder can't grow without limit."""
    who = Actor(name=actor["name"], trigger=Trigger(actor["trigger"]), user_id=actor["user_id"])
    path = exports.write_export(LogFilter(**wanted), actor=who)
    prune_exports()
    return path.name


def prune_exports() -> int:
    """Delete exports older than ``KMES_EXPORT_KEEP_DAYS`` days; return how many."""
    return exports.prune_files(keep_days=settings.KMES_EXPORT_KEEP_DAYS)
