"""Sends the log's rows to destinations. Runs in the report worker; holds no transaction while it sends.

A batch is announced, sent and confirmed. A batch whose end is unknown is sent again, and its rows are marked as repeats.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from django.db.models import Q
from django.utils.translation import gettext as _

from kmes.core.clock import now
from logging_reports.forwarding import formats, http_collector, outages, positions, seals
from logging_reports.forwarding.choices import Transport
from logging_reports.forwarding.errors import ForwardingError
from logging_reports.forwarding.formats import SentRow
from logging_reports.forwarding.models import ForwardingDestination, ForwardingPosition
from logging_reports.forwarding.positions import ClaimLostError
from logging_reports.forwarding.syslog_tls import SyslogConnection

logger = logging.getLogger(__name__)
# Rows of one connection, and of one after a failure, when the receiver may be slow.
BATCH_ROWS = {Transport.SYSLOG: 10_000, Transport.COLLECTOR: 2_000}
SMALL_BATCH_ROWS = 500
# Rows in memory at a time.
CHUNK_ROWS = 500
# A connection gets no more rows after this.
BATCH_SECONDS = 10
# A destination gives way to other work of the report worker after this.
TURN_SECONDS = 20
# No further destination gets its turn after this.
ROUND_SECONDS = 120


def find_due() -> list[ForwardingDestination]:
    """Return the destinations that have rows or a test to send now, the longest waiting first."""
    free = ForwardingDestination.objects.filter(
        outages.is_free(), outages.is_due() | Q(test_requested_at__isnull=False)
    )
    waiting = positions.count_waiting()
    return [
        each
        for each in free.order_by("last_run_at", "name")
        if each.test_requested_at or (each.is_enabled and _has_waiting(each, waiting))
    ]


def _has_waiting(destination: ForwardingDestination, waiting: dict) -> bool:  # type: ignore[type-arg]
    return any(waiting.get((destination.pk, service)) for service in destination.services)


def deliver_due() -> bool:
    """Give each destination that is due one turn. Return whether one has more to send."""
    has_more, ends_at = False, time.monotonic() + ROUND_SECONDS
    for each in find_due():
        if time.monotonic() > ends_at:
            return True
        destination = outages.claim(each)
        if destination is None:
            continue
        try:
            has_more = _take_turn(destination) or has_more
        except ClaimLostError:
            logger.warning("log forwarding to %s: another run has it", destination.name)
        except Exception as error:
            # One destination must not hold up the others.
            logger.exception("log forwarding to %s met an unexpected error", destination.name)
            outages.write_failure(destination, _unexpected(error))
        finally:
            outages.release(destination)
    return has_more


def _unexpected(error: Exception) -> ForwardingError:
    what = _("An unexpected error stopped the sending (%(name)s).") % {"name": type(error).__name__}
    return ForwardingError(what, _("The report worker's own log says more."))


def _take_turn(destination: ForwardingDestination) -> bool:
    """Send the test and the rows. Return whether there is more."""
    if destination.test_requested_at is not None:
        _send_test(destination)
    if not destination.is_enabled:
        return False
    ends_at = time.monotonic() + TURN_SECONDS
    try:
        _check_seal(destination)
        for service in destination.services:
            position = ForwardingPosition.objects.get(destination=destination, service=service)
            while _send_batch(destination, position):
                if time.monotonic() > ends_at:
                    return True
    except ForwardingError as error:
        _write_failure(destination, error)
    return False


def _check_seal(destination: ForwardingDestination) -> None:
    if not seals.has_valid_seal(destination):
        raise ForwardingError(
            _("This destination is not as the console stored it, so nothing is sent."),
            _(
                "Find out who changed the database, or the console's own signing key. Then edit the destination and save it."
            ),
            code="seal",
        )


def _write_failure(destination: ForwardingDestination, error: ForwardingError) -> None:
    if destination.transport == Transport.SYSLOG and error.code not in {"seal", "address", "certificates"}:
        for position in ForwardingPosition.objects.filter(destination=destination):
            positions.go_back(position, destination, run_number=destination.run_number)
    outages.write_failure(destination, error)


def _send_batch(destination: ForwardingDestination, position: ForwardingPosition) -> bool:
    """Send one batch of a log. Return whether more rows wait."""
    first, head = position.confirmed, positions.head_of(position.service)
    if first >= head:
        return False
    size = SMALL_BATCH_ROWS if destination.failures else BATCH_ROWS[Transport(destination.transport)]
    wanted = positions.wanted_rows(destination, position.service).filter(sequence__gt=first, sequence__lte=head)
    sequences = list(wanted.order_by("sequence").values_list("sequence", flat=True)[:size])
    end = sequences[-1] if len(sequences) == size else head
    if sequences:
        if not outages.renew(destination):
            raise ClaimLostError
        known = position.announced
        positions.announce(position, sequences[-1], run_number=destination.run_number)
        sent = _send(destination, _read(destination, position, sequences[-1], known))
        end = end if sent == sequences[-1] else sent
    positions.confirm(position, end, sent if sequences else position.last_sent, run_number=destination.run_number)
    if sequences:
        outages.write_success(destination)
    return end < head


def _read(
    destination: ForwardingDestination, position: ForwardingPosition, up_to: int, announced: int
) -> Iterator[list[SentRow]]:
    """Yield the rows after ``confirmed`` in chunks. Each is read whole: a read that goes on would hold up writers of SQLite."""
    previous, after = position.last_sent, position.confirmed
    wanted = positions.wanted_rows(destination, position.service).filter(sequence__lte=up_to).order_by("sequence")
    while after < up_to:
        chunk = []
        for entry in list(wanted.filter(sequence__gt=after)[:CHUNK_ROWS]):
            chunk.append(SentRow(entry, previous, entry.sequence <= announced))
            previous = after = entry.sequence
        if not chunk:
            return
        yield chunk


def _send(destination: ForwardingDestination, chunks: Iterator[list[SentRow]]) -> int:
    """Send chunks until the time of a batch is over. Return the sequence of the last row that the receiver took."""
    ends_at, last = time.monotonic() + BATCH_SECONDS, 0
    if destination.transport == Transport.COLLECTOR:
        for chunk in chunks:
            events = [http_collector.to_event(row, destination.row_format) for row in chunk]
            for _count, body in http_collector.in_bodies(events):
                http_collector.post(destination, body)
            last = chunk[-1].entry.sequence
            if time.monotonic() > ends_at:
                break
        return last
    with SyslogConnection(destination) as connection:
        for chunk in chunks:
            connection.send(formats.to_message(row, destination.row_format) for row in chunk)
            last = chunk[-1].entry.sequence
            if time.monotonic() > ends_at:
                break
        connection.confirm()
    return last


def _send_test(destination: ForwardingDestination) -> None:
    try:
        _check_seal(destination)
        if destination.transport == Transport.COLLECTOR:
            event = http_collector.test_event(destination.name, destination.row_format, at=now())
            http_collector.post(destination, event)
            text = _("The collector acknowledged the test event.")
        else:
            with SyslogConnection(destination) as connection:
                connection.send([formats.test_message(destination.name, destination.row_format, at=now())])
                connection.confirm()
            text = _("The server read the test event.")
    except ForwardingError as error:
        outages.write_test(destination, error, "")
    else:
        outages.write_test(destination, None, text)
