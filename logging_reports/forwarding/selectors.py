"""How far behind each destination is, for pages, alarms and metrics. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from kmes.core.clock import now
from logging_reports.choices import Service
from logging_reports.forwarding import positions
from logging_reports.forwarding.models import ForwardingDestination, ForwardingPosition
from logging_reports.models import LogEntry


@dataclass(frozen=True)
class Lag:
    """Rows that a destination has not got yet, and the age of the oldest of them in seconds; 0 without any."""

    rows: int
    seconds: float


@dataclass(frozen=True)
class LogLag:
    """The same for one log, with the destination's position in it."""

    service: Service
    position: ForwardingPosition
    head: int
    lag: Lag


def list_log_lags(destination: ForwardingDestination) -> list[LogLag]:
    """Return how far behind a destination is in each of its logs."""
    found = {each.service: each for each in ForwardingPosition.objects.filter(destination=destination)}
    lags = []
    for service in Service:
        if service.value in destination.services and (position := found.get(service.value)):
            head = positions.head_of(service)
            seconds = (
                _age(_find_oldest([(service.value, position.confirmed)]).values()) if position.confirmed < head else 0
            )
            lags.append(LogLag(service, position, head, Lag(max(head - position.confirmed, 0), seconds)))
    return lags


def find_lags(destinations: Iterable[ForwardingDestination]) -> dict[object, Lag]:
    """Return how far behind each destination is, by its id. Three queries."""
    waiting = positions.count_waiting()
    confirmed = {
        (owner, service): sequence
        for owner, service, sequence in ForwardingPosition.objects.values_list("destination_id", "service", "confirmed")
    }
    shown = list(destinations)
    behind = [
        (each.pk, service)
        for each in shown
        for service in each.services
        if waiting.get((each.pk, service)) and (each.pk, service) in confirmed
    ]
    oldest = _find_oldest([(service, confirmed[owner, service]) for owner, service in behind])
    lags: dict[object, Lag] = {}
    for each in shown:
        logs = [service for owner, service in behind if owner == each.pk]
        rows = sum(waiting[each.pk, service] for service in logs)
        times = [at for service in logs if (at := oldest.get((service, confirmed[each.pk, service])))]
        lags[each.pk] = Lag(rows, _age(times))
    return lags


def _find_oldest(places: list[tuple[str, int]]) -> dict[tuple[str, int], datetime]:
    """Return the times of the rows that follow these places, by place."""
    if not places:
        return {}
    wanted = Q()
    for service, sequence in set(places):
        wanted |= Q(service=service, sequence=sequence + 1)
    rows = LogEntry.objects.filter(wanted).values_list("service", "sequence", "at")
    return {(service, sequence - 1): at for service, sequence, at in rows}


def _age(times: Iterable[datetime]) -> float:
    moments = list(times)
    return max((now() - min(moments)).total_seconds(), 0.0) if moments else 0.0
