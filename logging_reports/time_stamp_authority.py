"""Asks the time-stamping authority over HTTP (RFC 3161, section 3.4), and checks what it answers.

The address stands in a setting, so it may be in this network; never a service of a cloud for its own machines.
"""

from __future__ import annotations

import http.client
import ipaddress
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from kmes.core.clock import now
from kmes.core.errors import InputError
from logging_reports import guarded_http, time_stamps
from logging_reports.notices import webhook_addresses
from logging_reports.notices.webhook_addresses import Allowed, Target
from logging_reports.safe_text import visible
from logging_reports.time_stamps import TimeStamp, TimeStampError

SECONDS = 10
# An answer with a chain of three certificates has about 6 KiB.
HIGHEST_BYTES = 64 * 1024
# The authority's clock and this one may differ by this.
CLOCK_TOLERANCE = timedelta(minutes=5)
_PORTS = {"http": 80, "https": 443}
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"


def request_time_stamp(stamped: bytes) -> tuple[bytes, TimeStamp]:
    """Get a time stamp over some bytes. Return the answer as the authority sent it, and what it says.

    Raises:
        TimeStampError: the authority can't be reached, or its answer does not hold.

    """
    trusted = time_stamps.load_certificates(Path(settings.KMES_TIMESTAMP_CA_FILE))
    query = time_stamps.new_query(stamped)
    response = _send(query.content)
    stamp = time_stamps.read_time_stamp(
        response, stamped, trusted=trusted, nonce=query.nonce, policy=settings.KMES_TIMESTAMP_POLICY
    )
    moment = now()
    if abs(stamp.at - moment) > CLOCK_TOLERANCE:
        raise TimeStampError(
            _("the authority's time is %(theirs)s, but this machine's is %(ours)s")
            % {"theirs": f"{stamp.at:%Y-%m-%d %H:%M:%S} UTC", "ours": f"{moment:%Y-%m-%d %H:%M:%S} UTC"}
        )
    return response, stamp


def _send(query: bytes) -> bytes:
    headers = {"Content-Type": _QUERY, "Accept": _REPLY, "User-Agent": "KMES-console"}
    try:
        target = _read_address(settings.KMES_TIMESTAMP_URL)
        answer = guarded_http.send(
            target,
            webhook_addresses.resolve(target, _allowed(target.host)),
            query,
            headers,
            ca_file=settings.KMES_TIMESTAMP_TLS_CA_FILE,
            seconds=SECONDS,
            highest_bytes=HIGHEST_BYTES,
        )
    except InputError as error:
        raise TimeStampError(
            _("the authority's address is not allowed: %(reason)s") % {"reason": error.what}
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = visible(getattr(error, "strerror", "") or str(error) or type(error).__name__)
        raise TimeStampError(_("the authority can't be reached: %(reason)s") % {"reason": reason}) from error
    if answer.status != HTTPStatus.OK or answer.content_type != _REPLY:
        text = visible(f"HTTP {answer.status} {answer.reason}, {answer.content_type}")
        raise TimeStampError(_("the authority answered %(answer)s, not a time stamp") % {"answer": text})
    return answer.body


def _read_address(url: str) -> Target:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise TimeStampError(_("KMES_TIMESTAMP_URL is not an address")) from error
    is_plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc
    if parts.scheme not in _PORTS or not host or not is_plain:
        raise TimeStampError(_("KMES_TIMESTAMP_URL is not an http or https address"))
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path)


def _allowed(host: str) -> Allowed:
    """Allow the host of the setting to be in this network, and this machine only where the setting says so."""
    name = host.lower().rstrip(".")
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = name == "localhost"
    return Allowed(frozenset({name}), this_machine=is_here)
