"""Says when a destination is too far behind, and when it works again: a log row, which is a notice. Runs in the scan."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction

from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.forwarding.selectors import Lag, find_lags
from logging_reports.services import record


def is_alarming(destination: ForwardingDestination, lag: Lag) -> bool:
    """Return whether a destination in use failed, or was behind, for longer than the limit."""
    limit = timedelta(seconds=settings.KMES_FORWARDING_ALARM_SECONDS)
    since = destination.failing_since
    is_failing = since is not None and now() - since >= limit
    return destination.is_enabled and (is_failing or lag.seconds >= limit.total_seconds())


def check() -> None:
    """Record what changed since the last check."""
    destinations = list(ForwardingDestination.objects.order_by("name"))
    lags = find_lags(destinations)
    for each in destinations:
        lag = lags[each.pk]
        if is_alarming(each, lag) != each.is_alarmed:
            _write(each, lag)


def _write(destination: ForwardingDestination, lag: Lag) -> None:
    rises = not destination.is_alarmed
    with transaction.atomic():
        # Of two scans at once, one writes.
        found = ForwardingDestination.objects.filter(pk=destination.pk, is_alarmed=not rises)
        if not found.update(is_alarmed=rises):
            return
        data = {"destination": str(destination.pk), "rows": lag.rows, "seconds": int(lag.seconds)}
        if rises:
            reason = f" {destination.last_error}" if destination.last_error else ""
            text = f"Log destination {destination.name} is {lag.rows} rows behind, the oldest {int(lag.seconds)} s.{reason}"
            record("forwarding.behind", actor=SYSTEM, message=text, data=data)
        else:
            text = f"Log destination {destination.name} is not behind any more"
            record("forwarding.resumed", actor=SYSTEM, message=text, data=data)
