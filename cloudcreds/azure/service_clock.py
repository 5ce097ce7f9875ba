"""The clocks of Azure's services, as their answers show them, and how far this machine's clock differs.

Only answers that ``answers.judge`` has let pass are read. Two things tell a service's time: the header Date (RFC 9110,
6.6.1), and the time at which Key Vault says that it made a key. A cache or proxy may put in another Date, so a single one
proves nothing, and what the vault says in an answer's body counts before any header.

Readings are kept with this machine's uptime, so that one taken before the clock was set still counts after it.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from statistics import median

from cloudcreds.azure.answers import Answer, AskedService
from cloudcreds.azure.vault_documents import host_of
from cloudcreds.provider import clocks
from kmes.core.clock import now, steady

# Readings that count: the newest of each service, not older than this by uptime.
KEPT = 9
KEPT_SECONDS = 600.0
# Headers of one service agree when they differ by less; a call may take a minute.
AGREEMENT_SECONDS = 60.0
# One stray header is no proof.
LEAST_HEADERS = 2
# Paths whose answer shows when the vault made the version: the time of the answer.
_MAKES_VERSION = {"POST": re.compile(r"/keys/[^/]+/create/?"), "PUT": re.compile(r"/keys/[^/]+/?")}


@dataclass(frozen=True)
class _Reading:
    """A service's time minus this machine's uptime, both in seconds; ``at`` is the uptime of the reading."""

    offset: float
    at: float
    is_stated: bool


@dataclass(frozen=True)
class Difference:
    """How far this machine's clock is ahead of a service's.

    ``is_certain`` is False when only headers say so and those of another service contradict them.
    """

    value: timedelta
    is_certain: bool


# A service at a host.
_Place = tuple[AskedService, str]
_lock = threading.Lock()
_readings: dict[_Place, deque[_Reading]] = {}


def forget() -> None:
    """Drop all readings."""
    with _lock:
        _readings.clear()


def read(service: AskedService, answer: Answer, *, sent_at: float, came_at: float) -> None:
    """Read a service's clock from one of its own answers. Times are of ``kmes.core.clock.steady``."""
    middle = (sent_at + came_at) / 2
    found = [
        _Reading(told - middle, came_at, is_stated)
        for told, is_stated in ((_header_time(answer), False), (_stated_time(answer), True))
        if told is not None
    ]
    if found:
        with _lock:
            _readings.setdefault((service, host_of(answer.url)), deque(maxlen=KEPT)).extend(found)


def difference(service: AskedService, url: str) -> Difference | None:
    """Return how far this machine's clock is ahead of that of the service at ``url``; None when that is not known."""
    place = (service, host_of(url))
    with _lock:
        known = {each: _offset(list(readings)) for each, readings in _readings.items()}
    own = known.get(place)
    if own is None:
        return None
    offset, is_stated = own
    value = now().timestamp() - (offset + steady())
    limit = clocks.LIMIT.total_seconds()
    others = [other[0] for each, other in known.items() if each != place and other is not None]
    is_contradicted = bool(others) and all(abs(other - offset) > limit for other in others)
    return Difference(timedelta(seconds=value), is_stated or not is_contradicted)


def _offset(readings: list[_Reading]) -> tuple[float, bool] | None:
    """Return what the readings of one service agree on, and whether the service itself stated it; None for nothing."""
    recent = [each for each in readings if steady() - each.at <= KEPT_SECONDS]
    stated = [each.offset for each in recent if each.is_stated]
    if stated:
        return stated[-1], True
    headers = [each.offset for each in recent]
    if len(headers) < LEAST_HEADERS:
        return None
    middle = median(headers)
    agreeing = [each for each in headers if abs(each - middle) <= AGREEMENT_SECONDS]
    if len(agreeing) * 2 <= len(headers) or len(agreeing) < LEAST_HEADERS:
        return None
    return agreeing[-1], False


def _header_time(answer: Answer) -> float | None:
    """Return the time of the header Date; None when it is missing, damaged, or that of a stored answer."""
    text = answer.headers.get("date", "").strip()
    if "age" in answer.headers:
        return None
    try:
        moment = parsedate_to_datetime(text)
        # The one form that may be sent; a weekday that does not fit shows a damaged one (RFC 9110, 5.6.7).
        if moment.tzinfo is None or format_datetime(moment.astimezone(UTC), usegmt=True) != text:
            return None
        # Whole seconds, cut off.
        return moment.timestamp() + 0.5
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _stated_time(answer: Answer) -> float | None:
    """Return when the vault says that it made the version it was asked for; None for answers that say no such thing."""
    makes = _MAKES_VERSION.get(answer.method)
    if answer.status != 200 or makes is None or not makes.fullmatch(answer.path):
        return None
    # An answer without it is not let pass.
    return float(json.loads(answer.body.decode("utf-8-sig"))["attributes"]["created"]) + 0.5
