"""What the tests of log forwarding share: destinations, rows, and turns of the report worker."""

from __future__ import annotations

from datetime import timedelta

from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from logging_reports.forwarding import delivery, destinations
from logging_reports.forwarding.choices import RowFormat, Start, Transport
from logging_reports.forwarding.destinations import DestinationValues
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.models import LogHead
from logging_reports.services import Draft, record_many


def values(**changes):
    given = {
        "name": "siem",
        "transport": Transport.SYSLOG,
        "row_format": RowFormat.SYSLOG,
        "host": "localhost",
        "port": 6514,
        "services": ["audit"],
        **changes,
    }
    return DestinationValues(**given)


def add(server, *, start=Start.BEGINNING, **changes):
    """Add a destination that leads to a log server."""
    given = {"port": server.port, "ca_certificates": server.authority.pem, **changes}
    return destinations.add_destination(values(**given), start=start, actor=SYSTEM)


def write_rows(count: int, message: str = "Job 7F3KQ2 of payments ended") -> None:
    for start in range(0, count, 500):
        size = min(500, count - start)
        record_many(
            [Draft(event="job.finished", actor=SYSTEM, message=message, job_code="7F3KQ2") for _ in range(size)]
        )


def last_row(service: str = "audit") -> int:
    return LogHead.objects.get(service=service).sequence


def make_due(destination) -> None:
    moment = now() - timedelta(seconds=1)
    ForwardingDestination.objects.filter(pk=destination.pk).update(next_try_at=moment)


def turn(destination):
    """Let the report worker's task run once; return the destination afterwards."""
    make_due(destination)
    delivery.deliver_due()
    destination.refresh_from_db()
    return destination


def turns(destination, highest: int = 30) -> None:
    """Let it run until nothing waits."""
    for _ in range(highest):
        turn(destination)
        if not delivery.find_due() and not destination.failures:
            return
    raise AssertionError(f"rows still wait: {destination.last_error}")
