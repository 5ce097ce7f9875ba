r"""A log row as RFC 5424, CEF and JSON text. Pure functions: no text of a row can end a line or forge a field.

Control and direction characters are written as ``\uXXXX`` first; then each format escapes what separates its fields.
docs/forwarding.md describes the fields.
"""

from __future__ import annotations

import re
import socket
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from kmes.core.version import VERSION
from logging_reports import json_lines
from logging_reports.chain import canonical_json
from logging_reports.choices import Severity
from logging_reports.forwarding.choices import RowFormat
from logging_reports.models import LogEntry
from logging_reports.safe_text import visible

# "log audit" (RFC 5424, section 6.2.1).
FACILITY = 13
_LEVELS: dict[str, int] = {Severity.INFO: 6, Severity.WARNING: 4, Severity.ERROR: 3}
_CEF_LEVELS: dict[str, int] = {Severity.INFO: 3, Severity.WARNING: 6, Severity.ERROR: 9}
# 32473 is the enterprise number for documentation (RFC 5612): this project has none.
SD_ID = "kmes@32473"
# Below the default limit of rsyslog (docs/forwarding.md, "What receivers get"). It would split longer ones.
MAX_MESSAGE_BYTES = 8000
_CUT_LABEL, _CUT_MESSAGE = 48, 400
_MSGID_LENGTH, _HOST_LENGTH = 32, 255
_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")
_SD_SPECIAL = re.compile(r'["\\\]]')
_CEF_HEADER_SPECIAL = re.compile(r"[\\|]")
_CEF_VALUE_SPECIAL = re.compile(r"[\\=]")
# The row's fields in the structured data, in this order; empty ones are left out.
_SD_FIELDS = (
    *("category", "severity", "event", "actor_name", "actor_trigger", "actor_user_id", "credential_id", "credential"),
    *("vault", "group_id", "group", "key_id", "key", "version", "job_id", "job_code", "provider_request_id"),
    *("http_status", "duration_ms", "chain_format", "previous_hash", "hash"),
)
_CEF_LABELED = (
    *(("cs1", "group"), ("cs2", "key"), ("cs3", "vault"), ("cs4", "credential"), ("cs5", "job_code"), ("cs6", "hash")),
    *(("flexString1", "version"), ("flexString2", "provider_request_id")),
)
_LABELS = tuple(name for name in _SD_FIELDS if name not in {"previous_hash", "hash", "job_id", "actor_user_id"})


@dataclass(frozen=True)
class SentRow:
    """A row on its way. ``previous``: the sequence of the row that the destination got before it."""

    entry: LogEntry
    previous: int
    is_repeat: bool
    is_cut: bool = False


def to_text(row: SentRow, form: str) -> str:
    """Return the row in a format, without a syslog header: CEF, one JSON object, or an RFC 5424 message."""
    match form:
        case RowFormat.CEF:
            return _cef(row)
        case RowFormat.JSON:
            return visible(canonical_json(to_object(row)))
        case _:
            return f"{_header(row)}{_structured_data(row)}{_message(row.entry.message)}"


def to_message(row: SentRow, form: str) -> bytes:
    """Return the row as one syslog message of at most ``MAX_MESSAGE_BYTES``. What does not fit is cut, and marked so."""
    message = _whole_message(row, form)
    if len(message) <= MAX_MESSAGE_BYTES:
        return message
    message = _whole_message(_without_data(row), form)
    return message if len(message) <= MAX_MESSAGE_BYTES else _whole_message(_with_short_texts(row), form)


def to_object(row: SentRow) -> dict[str, Any]:
    """Return the row as an export has it (docs/log.md), and how it was sent."""
    sent: dict[str, Any] = {"previous_sequence": row.previous, "repeat": row.is_repeat}
    if row.is_cut:
        sent["cut"] = True
    return {**json_lines.to_values(row.entry), **sent}


def test_text(name: str, form: str, *, at: datetime) -> str:
    """Return a test event in a format, as ``to_text`` does. It has no sequence, so that it makes no gap."""
    text = f"Test of the log destination {name}"
    match form:
        case RowFormat.CEF:
            head = "|".join(map(_cef_header, ("CEF:0", *_product(), "forwarding.test", "Test event")))
            return f"{head}|3|rt={_milliseconds(at)} msg={_cef_value(text)}"
        case RowFormat.JSON:
            return visible(canonical_json({"event": "forwarding.test", "message": text, "at": _time(at)}))
        case _:
            return f'{_test_header(at)}[{SD_ID} test="1"]{_message(text)}'


def test_message(name: str, form: str, *, at: datetime) -> bytes:
    """Return a test event as one syslog message."""
    text = test_text(name, form, at=at)
    return (text if form == RowFormat.SYSLOG else f"{_test_header(at)}-{_message(text)}").encode()


def _whole_message(row: SentRow, form: str) -> bytes:
    text = to_text(row, form)
    # The database refuses lone surrogates; a tampered row must not stop the log.
    return (text if form == RowFormat.SYSLOG else f"{_header(row)}-{_message(text)}").encode(
        "utf-8", "backslashreplace"
    )


def _without_data(row: SentRow) -> SentRow:
    entry = copy(row.entry)
    entry.data = {}
    return SentRow(entry, row.previous, row.is_repeat, is_cut=True)


def _with_short_texts(row: SentRow) -> SentRow:
    entry = copy(row.entry)
    entry.data, entry.message = {}, entry.message[:_CUT_MESSAGE]
    for name in _LABELS:
        if isinstance(value := getattr(entry, name), str):
            setattr(entry, name, value[:_CUT_LABEL])
    return SentRow(entry, row.previous, row.is_repeat, is_cut=True)


# --- RFC 5424 --------------------------------------------------------------------------------
def _header(row: SentRow) -> str:
    entry = row.entry
    priority = FACILITY * 8 + _LEVELS.get(entry.severity, 6)
    message_id = _NOT_PRINTABLE.sub("?", entry.event)[:_MSGID_LENGTH] or "-"
    return f"<{priority}>1 {_time(entry.at)} {host_name()} kmes {entry.service} {message_id} "


def _test_header(at: datetime) -> str:
    return f"<{FACILITY * 8 + 6}>1 {_time(at)} {host_name()} kmes - forwarding.test "


def _structured_data(row: SentRow) -> str:
    entry = row.entry
    parts = [f'[{SD_ID} service="{entry.service}" sequence="{entry.sequence}" previous="{row.previous}"']
    if row.is_repeat:
        parts.append('repeat="1"')
    if row.is_cut:
        parts.append('cut="1"')
    for name in _SD_FIELDS:
        value = getattr(entry, name)
        if value is not None and value != "":
            parts.append(f'{name}="{_sd_value(str(value))}"')
    if entry.data:
        parts.append(f'data="{_sd_value(canonical_json(entry.data))}"')
    return " ".join(parts) + "]"


def _sd_value(text: str) -> str:
    return _SD_SPECIAL.sub(_escape, visible(text))


def _escape(found: re.Match[str]) -> str:
    return "\\" + found[0]


def _message(text: str) -> str:
    """Return the end of a message: a byte order mark says that a text is UTF-8 (RFC 5424, section 6.4)."""
    shown = visible(text)
    if not shown:
        return ""
    return f" {shown}" if shown.isascii() else f" \ufeff{shown}"


# --- CEF -------------------------------------------------------------------------------------
def _cef(row: SentRow) -> str:
    entry = row.entry
    head = "|".join(map(_cef_header, ("CEF:0", *_product(), entry.event, _readable(entry.event))))
    values: dict[str, Any] = {
        "rt": _milliseconds(entry.at),
        "externalId": f"{entry.service}:{entry.sequence}",
        "cat": entry.category,
        "deviceFacility": entry.service,
        "dvchost": host_name(),
        "suser": entry.actor_name,
        "msg": entry.message,
        "cn1": entry.sequence,
        "cn1Label": "sequence",
        "cn2": row.previous,
        "cn2Label": "previous",
        "cn3": int(row.is_repeat),
        "cn3Label": "repeat",
    }
    for key, name in _CEF_LABELED:
        if value := getattr(entry, name):
            values |= {key: value, f"{key}Label": name}
    if entry.data:
        values["kmesData"] = canonical_json(entry.data)
    if row.is_cut:
        values["kmesCut"] = 1
    extension = " ".join(f"{key}={_cef_value(str(value))}" for key, value in values.items() if value != "")
    return f"{head}|{_CEF_LEVELS.get(entry.severity, 3)}|{extension}"


def _cef_header(text: str) -> str:
    return _CEF_HEADER_SPECIAL.sub(_escape, visible(text))


def _cef_value(text: str) -> str:
    return _CEF_VALUE_SPECIAL.sub(_escape, visible(text))


def _product() -> tuple[str, str, str]:
    return "KMES", "KMES console", VERSION


def _readable(event: str) -> str:
    return event.replace(".", ": ").replace("_", " ")


# --- Parts of all formats --------------------------------------------------------------------
def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def host_name() -> str:
    """Return this console's name in messages: the host of KMES_PUBLIC_URL, else this machine's."""
    return _clean_host(urlsplit(str(settings.KMES_PUBLIC_URL)).hostname or socket.gethostname())


@lru_cache(maxsize=8)
def _clean_host(name: str) -> str:
    return _NOT_PRINTABLE.sub("?", name)[:_HOST_LENGTH] or "-"
