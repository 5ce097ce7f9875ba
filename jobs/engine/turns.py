"""When a run pauses for others: for its place in a vault's rate limit, and for jobs that wait for a worker."""

from __future__ import annotations

import time

from django.conf import settings
from django.utils.translation import gettext as _

from cloudcreds import rate_limit
from cloudcreds.models import KeyVault
from jobs.engine import precedence, shutdown
from jobs.engine.cancellation import should_stop_waiting, stop_if_requested
from jobs.engine.interruptions import Yielded
from jobs.engine.run import JobRun
from kmes.core.actor import PEOPLE


def wait_for_rate_limit(run: JobRun, vault: KeyVault) -> None:
    """Reserve one HSM change in the vault, and wait until it may be made.

    A scheduled job gives its worker to people meanwhile, and the reservation with it.

    Raises:
        Cancelled: a user asked to cancel the job meanwhile.
        Yielded: people wait for the worker, or it is to stop.

    """
    left = rate_limit.reserve(vault)
    if left > 0:
        run.flush()
    while left > 0 and not should_stop_waiting(run):
        time.sleep(min(1.0, left))
        left -= 1.0
        if left > 0 and run.actor.trigger not in PEOPLE:
            yield_to_waiting(run)
    stop_if_requested(run)


def yield_to_waiting(run: JobRun) -> None:
    """Give up the worker when other jobs have waited for a whole turn.

    At once when the worker is to stop, and when a job waits that goes before this one.

    Raises:
        Yielded: the job returns to the queue behind the others.

    """
    if shutdown.requested():
        raise Yielded(_("another worker: this one stops"), seconds=0)
    is_turn_over = time.monotonic() - run.turn_began >= settings.KMES_TURN_SECONDS
    waiting = precedence.find_waiting() if is_turn_over else precedence.find_before(run.job.trigger)
    if run.job.azure_lock:
        waiting = waiting.exclude(azure_lock=run.job.azure_lock)
    if waiting.exists():
        raise Yielded(_("its next turn: other jobs go first"), seconds=0)
    if is_turn_over:
        run.turn_began = time.monotonic()
