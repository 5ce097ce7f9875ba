"""Changes of destinations: add, edit, delete, test, send again. Each writes its log row, and ends a run that goes on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError
from kmes.core.guarded_changes import require_approval
from kmes.core.secret_types import SecretText
from logging_reports.choices import Service, Severity
from logging_reports.forwarding import positions, queue, seals
from logging_reports.forwarding.choices import Start, Transport
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.services import record

MAX_DESTINATIONS = 20
TEST_PAUSE = timedelta(seconds=5)
# A test that the report worker did not take up for so long may be requested again.
TEST_LOST_AFTER = timedelta(minutes=2)
_ADDRESS = ("transport", "host", "port", "path", "ca_certificates")


@dataclass(frozen=True, kw_only=True)
class DestinationValues:
    """The values of a destination's form. ``token``: None keeps the present one, an empty one removes it."""

    name: str
    transport: Transport
    row_format: str
    host: str
    port: int
    path: str = ""
    ca_certificates: str = ""
    token: SecretText | None = None
    services: list[str] = field(default_factory=lambda: list(Service.values))
    lowest_severity: str = Severity.INFO
    events: list[str] = field(default_factory=list)
    is_enabled: bool = True


def add_destination(values: DestinationValues, *, start: Start, actor: Actor) -> ForwardingDestination:
    """Add a destination that begins with the first rows, or with those written from now on.

    Raises:
        ConflictError: there are too many.

    """
    if ForwardingDestination.objects.count() >= MAX_DESTINATIONS:
        raise ConflictError(
            _("There are %(count)d destinations already.") % {"count": MAX_DESTINATIONS},
            _("Delete one that is not used."),
        )
    with transaction.atomic():
        asked = {**_columns(values), "start": str(start), "has_token": bool(values.token)}
        require_approval("forwarding.add", asked, actor=actor)
        destination = ForwardingDestination(**_columns(values))
        destination.token = seals.encrypt_token(destination, values.token or SecretText(""))
        destination.seal = seals.make_seal(destination)
        destination.save(force_insert=True)
        for service in values.services:
            positions.create(destination, service, from_beginning=start == Start.BEGINNING)
        _record("forwarding.destination_added", destination, actor, "Log destination %(name)s added", start=str(start))
        transaction.on_commit(queue.hint, robust=True)
    return destination


def change_destination(
    destination: ForwardingDestination, values: DestinationValues, *, actor: Actor
) -> ForwardingDestination:
    """Change a destination. Its positions stay; a log that is new to it begins with the next row.

    Raises:
        InputError: the address changes, and the token was not entered again.

    """
    with transaction.atomic():
        locked = ForwardingDestination.objects.select_for_update().get(pk=destination.pk)
        before = facts_of(locked)
        columns = _columns(values)
        is_moved = any(getattr(locked, name) != columns[name] for name in _ADDRESS)
        if is_moved and locked.token and values.token is None:
            raise InputError(
                _("The token was given for the former address."), _("Enter the token again."), field="token"
            )
        asked = {"destination": str(locked.pk), **columns, "has_token": bool(values.token)}
        require_approval("forwarding.change", asked, actor=actor)
        for name, value in columns.items():
            setattr(locked, name, value)
        if values.token is not None:
            locked.token = seals.encrypt_token(locked, values.token)
        locked.seal = seals.make_seal(locked)
        locked.run_number, locked.lease_until, locked.next_try_at = locked.run_number + 1, None, None
        locked.save()
        known = set(locked.positions.values_list("service", flat=True))
        for service in values.services:
            if service not in known:
                positions.create(locked, service, from_beginning=False)
        _record("forwarding.destination_changed", locked, actor, "Log destination %(name)s changed", before=before)
        transaction.on_commit(queue.hint, robust=True)
    return locked


def delete_destination(destination: ForwardingDestination, *, actor: Actor) -> None:
    """Delete a destination and its positions. A run that goes on sends at most its present batch."""
    with transaction.atomic():
        locked = ForwardingDestination.objects.select_for_update().filter(pk=destination.pk).first()
        if locked is not None:
            require_approval("forwarding.delete", {"destination": str(locked.pk)}, actor=actor)
            waiting = _count_waiting(locked)
            locked.delete()
            _record(
                "forwarding.destination_deleted",
                destination,
                actor,
                "Log destination %(name)s deleted",
                waiting=waiting,
            )


def request_test(destination: ForwardingDestination, *, actor: Actor) -> None:
    """Have the report worker send one test event.

    Raises:
        ConflictError: a test waits, or the last one was a moment ago.

    """
    moment = now()
    with transaction.atomic():
        locked = ForwardingDestination.objects.select_for_update().get(pk=destination.pk)
        waits = locked.test_requested_at is not None and moment - locked.test_requested_at < TEST_LOST_AFTER
        is_recent = locked.tested_at is not None and timedelta(0) <= moment - locked.tested_at < TEST_PAUSE
        if waits or is_recent:
            raise ConflictError(_("A test is on its way, or was sent a moment ago."), _("Wait some seconds."))
        ForwardingDestination.objects.filter(pk=locked.pk).update(test_requested_at=moment)
        _record("forwarding.test_requested", locked, actor, "Test of log destination %(name)s requested")
        transaction.on_commit(queue.hint, robust=True)


def send_again(destination: ForwardingDestination, service: Service, first: int, *, actor: Actor) -> None:
    """Have the rows of a log sent again from one on, marked as repeats.

    Raises:
        InputError: the row is not behind the destination's position.

    """
    with transaction.atomic():
        locked = ForwardingDestination.objects.select_for_update().get(pk=destination.pk)
        position = locked.positions.filter(service=service).first()
        if position is None or not 1 <= first <= position.confirmed:
            raise InputError(
                _("This destination did not get that row yet."),
                _("Enter the number of a row that was sent before."),
                field="first",
            )
        ForwardingDestination.objects.filter(pk=locked.pk).update(
            run_number=F("run_number") + 1, lease_until=None, next_try_at=None
        )
        positions.send_again(locked, service, first)
        text = f"Log destination %(name)s: rows of the {service} log are sent again from {first} on"
        _record("forwarding.sent_again", locked, actor, text, log=str(service), first=first)
        transaction.on_commit(queue.hint, robust=True)


def find_destination(destination_id: UUID) -> ForwardingDestination | None:
    """Return the destination, or None."""
    return ForwardingDestination.objects.filter(pk=destination_id).first()


def _columns(values: DestinationValues) -> dict[str, object]:
    return {
        "name": values.name,
        "is_enabled": values.is_enabled,
        "transport": values.transport.value,
        "row_format": str(values.row_format),
        "host": values.host,
        "port": values.port,
        "path": values.path,
        "ca_certificates": values.ca_certificates,
        "services": [str(service) for service in values.services],
        "lowest_severity": str(values.lowest_severity),
        "events": list(values.events),
    }


def _count_waiting(destination: ForwardingDestination) -> int:
    waiting = positions.count_waiting()
    return sum(waiting.get((destination.pk, service), 0) for service in destination.services)


def facts_of(destination: ForwardingDestination) -> dict[str, object]:
    """Return what log rows and requests for approval say of a destination: no token."""
    return {
        "name": destination.name,
        "in_use": destination.is_enabled,
        "transport": destination.transport,
        "format": destination.row_format,
        "address": destination.address,
        "ca_sha256": hashlib.sha256(destination.ca_certificates.encode()).hexdigest()
        if destination.ca_certificates
        else "",
        "authenticates": bool(destination.token),
        "logs": destination.services,
        "lowest_severity": destination.lowest_severity,
        "events": destination.events,
    }


def _record(event: str, destination: ForwardingDestination, actor: Actor, text: str, **more: object) -> None:
    data = {"destination": str(destination.pk), **facts_of(destination), **more}
    record(event, actor=actor, message=text % {"name": destination.name}, data=data)
