"""Sends rows to an HTTP event collector: a POST of JSON objects, which status 200 acknowledges."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from kmes.core.errors import InputError
from logging_reports import guarded_http
from logging_reports.chain import canonical_json
from logging_reports.forwarding import addresses, formats, seals, tls
from logging_reports.forwarding.choices import RowFormat
from logging_reports.forwarding.errors import ForwardingError
from logging_reports.forwarding.formats import SentRow
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.safe_text import visible

SECONDS = 30
_HIGHEST_ANSWER = 4096
# Collectors refuse larger bodies by default.
MAX_BODY_BYTES = 800_000


def to_event(row: SentRow, form: str) -> bytes:
    """Return one row in the collector's form."""
    return _wrap(formats.to_object(row) if form == RowFormat.JSON else formats.to_text(row, form), row.entry.at)


def test_event(name: str, form: str, *, at: datetime) -> bytes:
    """Return a test event in the collector's form."""
    text = formats.test_text(name, form, at=at)
    return _wrap(json.loads(text) if form == RowFormat.JSON else text, at)


def _wrap(event: Any, at: datetime) -> bytes:
    wrapped = {
        "time": f"{at.timestamp():.6f}",
        "host": formats.host_name(),
        "source": "kmes",
        "sourcetype": "kmes:log",
        "event": event,
    }
    return visible(canonical_json(wrapped)).encode("utf-8", "backslashreplace") + b"\n"


def in_bodies(events: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """Return the events as bodies that collectors take, each with the number of its events."""
    bodies: list[tuple[int, bytes]] = []
    count, size = 0, 0
    start = 0
    for position, event in enumerate(events):
        if count and size + len(event) > MAX_BODY_BYTES:
            bodies.append((count, b"".join(events[start:position])))
            start, count, size = position, 0, 0
        count, size = count + 1, size + len(event)
    if count:
        bodies.append((count, b"".join(events[start:])))
    return bodies


def post(destination: ForwardingDestination, body: bytes) -> None:
    """Post a body. Returning means that the collector acknowledged it.

    Raises:
        ForwardingError: it was not reached, or did not acknowledge.

    """
    headers = {"Content-Type": "application/json", "User-Agent": "KMES-console"}
    try:
        if token := seals.decrypt_token(destination):
            headers["Authorization"] = f"Splunk {token.reveal()}"
        answer = guarded_http.send(
            addresses.target_of(destination),
            addresses.resolve(destination),
            body,
            headers,
            ca_file="",
            seconds=SECONDS,
            highest_bytes=_HIGHEST_ANSWER,
            context=tls.make_context(destination),
        )
    except seals.TokenLostError as error:
        raise ForwardingError(
            _("The token of this destination can't be decrypted."),
            _("Edit the destination and enter the token again."),
            code="token",
        ) from error
    except (OSError, http.client.HTTPException, InputError) as error:
        raise tls.explain(error) from error
    if answer.status != HTTPStatus.OK:
        raise ForwardingError(
            _("The collector answered HTTP %(answer)s.")
            % {"answer": visible(f"{answer.status} {answer.reason}")[:120]},
            _("Check the path and the token.") if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR else "",
            retryable=True,
            code="answer",
        )
