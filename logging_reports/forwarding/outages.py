"""The only writer of how sending to a destination goes: claims, successes, failures, tests."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db.models import F, Q, QuerySet

from kmes.core.clock import now
from kmes.core.columns import cut
from kmes.core.known_secrets import mask
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.safe_text import visible

logger = logging.getLogger(__name__)
# Longer than one batch, which renews it.
LEASE_SECONDS = 240
# Pauses after the first failures in a row, and after each further one.
RETRY_SECONDS = (1, 5, 15, 60)


def is_free() -> Q:
    """Return the condition that no run has the destination."""
    return Q(lease_until__isnull=True) | Q(lease_until__lt=now())


def is_due() -> Q:
    """Return the condition that the pause after a failure is over."""
    moment = now()
    # A pause that ends later than any can was written before the clock was set back.
    latest = moment + timedelta(seconds=RETRY_SECONDS[-1])
    return Q(next_try_at__isnull=True) | Q(next_try_at__lte=moment) | Q(next_try_at__gt=latest)


def claim(destination: ForwardingDestination) -> ForwardingDestination | None:
    """Return the destination with a new run, which no other worker has; None when one has it."""
    moment = now()
    values = {"lease_until": moment + timedelta(seconds=LEASE_SECONDS), "last_run_at": moment}
    if not ForwardingDestination.objects.filter(is_free(), pk=destination.pk).update(
        run_number=F("run_number") + 1, **values
    ):
        return None
    return ForwardingDestination.objects.filter(pk=destination.pk).first()


def renew(destination: ForwardingDestination) -> bool:
    """Prolong the claim. Return whether it still holds."""
    until = now() + timedelta(seconds=LEASE_SECONDS)
    return bool(_held(destination).update(lease_until=until))


def release(destination: ForwardingDestination) -> None:
    """Give the claim up."""
    _held(destination).update(lease_until=None)


def write_success(destination: ForwardingDestination) -> None:
    """Record that the receiver took rows."""
    _held(destination).update(last_success_at=now(), failures=0, failing_since=None, last_error="", next_try_at=None)
    destination.failures = 0


def write_failure(destination: ForwardingDestination, error: Exception) -> None:
    """Record a failure and when to try again."""
    # The receiver wrote a part of it.
    text, moment = mask(visible(str(error))), now()
    logger.warning("log forwarding to %s: %s", destination.name, text)
    pause = RETRY_SECONDS[min(destination.failures, len(RETRY_SECONDS) - 1)]
    _held(destination).update(
        failures=F("failures") + 1,
        failing_since=destination.failing_since or moment,
        last_error=cut(ForwardingDestination, "last_error", text),
        next_try_at=moment + timedelta(seconds=pause),
    )


def write_test(destination: ForwardingDestination, error: Exception | None, text: str) -> None:
    """Record how a test went."""
    result = mask(visible(str(error))) if error else text
    # The condition keeps a test that was requested meanwhile.
    ForwardingDestination.objects.filter(pk=destination.pk, test_requested_at=destination.test_requested_at).update(
        test_requested_at=None,
        tested_at=now(),
        test_passed=error is None,
        test_result=cut(ForwardingDestination, "test_result", result),
    )


def _held(destination: ForwardingDestination) -> QuerySet[ForwardingDestination]:
    return ForwardingDestination.objects.filter(pk=destination.pk, run_number=destination.run_number)
