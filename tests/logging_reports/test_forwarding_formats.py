"""Each format is parsed back as its standard says: no text of a row ends a line, a field or a value."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_reports.chain import has_valid_hash, hash_entry
from logging_reports.forwarding import formats, http_collector
from logging_reports.forwarding.choices import RowFormat
from logging_reports.forwarding.formats import MAX_MESSAGE_BYTES, SentRow
from logging_reports.json_lines import from_line
from logging_reports.models import LogEntry
from logging_reports.safe_text import visible

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    [
        '"] [x@1 a="b"]',
        "a\r\n<110>1 forged",
        "\0",
        "a=b|c\\",
        "\\",
        '\\"',
        "]",
        "\u2028\u202e",
        "cs1=forged msg=x",
        "\x85",
    ]
)
# What ends or hides a line for any reader.
HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")


def make_entry(**changes):
    given_values = {
        "service": "audit",
        "sequence": 4711,
        "at": datetime(2026, 11, 24, 10, 5, 0, 123456, tzinfo=UTC),
        "category": "jobs",
        "severity": "warning",
        "event": "job.failed",
        "message": "Job failed",
        "previous_hash": "0" * 64,
        **changes,
    }
    entry = LogEntry(**given_values)
    entry.hash = hash_entry(entry)
    return entry


def sent(**changes):
    return SentRow(make_entry(**changes), previous=4710, is_repeat=False)


# --- Parsers, written from the standards and not from the code ---------------------------------
def parse_5424(message: bytes):
    """Parse by the grammar of RFC 5424, section 6."""
    text = message.decode()
    head = re.match(r"<(\d{1,3})>1 (\S+) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) ", text)
    assert head, text[:200]
    rest = text[head.end() :]
    params: dict[str, str] = {}
    if rest.startswith("-"):
        return head.groups(), params, rest[1:]
    name = re.match(r"\[([!-<>-\\^-~]{1,32})", rest)
    assert name
    assert name[1] == formats.SD_ID
    position = name.end()
    while rest[position] == " ":
        found = re.compile(r' ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"').match(rest, position)
        assert found, rest[position : position + 80]
        assert found[1] not in params
        params[found[1]] = re.sub(r'\\(["\\\]])', r"\1", found[2])
        position = found.end()
    assert rest[position] == "]"
    return head.groups(), params, rest[position + 1 :]


def parse_cef(text: str):
    """Parse as the CEF guide says: seven header fields, then key=value with escaped equals signs."""
    fields, position = [], 0
    for _ in range(7):
        found = re.compile(r"((?:[^\\|]|\\[\\|])*)\|").match(text, position)
        assert found, text[position : position + 80]
        fields.append(re.sub(r"\\([\\|])", r"\1", found[1]))
        position = found.end()
    extension = text[position:]
    starts = [*re.finditer(r"(?:^| )([A-Za-z0-9]+)=", extension)]
    # An equals sign of a value has an odd number of backslashes in front, so none is matched as a key's.
    values = {}
    for number, found in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(extension)
        assert found[1] not in values, found[1]
        values[found[1]] = re.sub(r"\\([\\=])", r"\1", extension[found.end() : end])
    return fields, values


# --- RFC 5424 ----------------------------------------------------------------------------------
def test_a_message_of_rfc_5424_names_time_host_event_and_position():
    head, params, message = parse_5424(formats.to_message(sent(key="payments-1", job_code="7F3KQ2"), RowFormat.SYSLOG))
    assert head[0] == "108"
    assert head[1] == "2026-11-24T10:05:00.123456Z"
    assert head[3:] == ("kmes", "audit", "job.failed")
    assert (params["service"], params["sequence"], params["previous"]) == ("audit", "4711", "4710")
    assert (params["key"], params["job_code"], params["hash"]) == (
        "payments-1",
        "7F3KQ2",
        make_entry(key="payments-1", job_code="7F3KQ2").hash,
    )
    assert "repeat" not in params
    assert message == " Job failed"


def test_a_repeat_is_marked_in_each_format():
    row = SentRow(make_entry(), previous=4710, is_repeat=True)
    assert parse_5424(formats.to_message(row, RowFormat.SYSLOG))[1]["repeat"] == "1"
    assert json.loads(formats.to_text(row, RowFormat.JSON))["repeat"] is True
    assert parse_cef(formats.to_text(row, RowFormat.CEF))[1]["cn3"] == "1"


def test_a_text_that_is_not_ascii_begins_with_a_byte_order_mark():
    assert parse_5424(formats.to_message(sent(message="Schlüssel"), RowFormat.SYSLOG))[2] == " \ufeffSchlüssel"


@given(key=TEXTS, actor=TEXTS, message=TEXTS, name=TEXTS, value=TEXTS)
def test_any_text_is_read_back_from_rfc_5424(key, actor, message, name, value):
    row = sent(key=key, actor_name=actor, message=message, data={name: value})
    data = formats.to_message(row, RowFormat.SYSLOG)
    assert not HIDDEN.search(data.decode())
    _head, params, rest = parse_5424(data)
    assert params.get("key", "") == visible(key)
    assert params.get("actor_name", "") == visible(actor)
    assert rest.removeprefix(" ").removeprefix("\ufeff") == visible(message)
    assert (params["sequence"], params["previous"]) == ("4711", "4710")
    assert name in json.loads(params["data"])


@given(key=TEXTS, actor=TEXTS, message=TEXTS, event=TEXTS)
def test_any_text_is_read_back_from_cef(key, actor, message, event):
    text = formats.to_text(sent(key=key, actor_name=actor, message=message, event=event), RowFormat.CEF)
    assert not HIDDEN.search(text)
    fields, values = parse_cef(text)
    assert fields[0] == "CEF:0"
    assert fields[4] == visible(event)
    assert fields[6] == "6"
    assert values.get("cs2", "") == visible(key)
    assert values.get("suser", "") == visible(actor)
    assert values.get("msg", "") == visible(message)
    assert (values["cn1"], values["cn2"]) == ("4711", "4710")


@given(key=TEXTS, actor=TEXTS, message=TEXTS, name=TEXTS, value=TEXTS)
def test_any_text_is_read_back_from_json_and_its_hash_verifies(key, actor, message, name, value):
    text = formats.to_text(sent(key=key, actor_name=actor, message=message, data={name: value}), RowFormat.JSON)
    assert not HIDDEN.search(text)
    found = json.loads(text)
    assert (found["key"], found["actor_name"], found["message"]) == (key, actor, message)
    assert found.pop("previous_sequence") == 4710
    assert found.pop("repeat") is False
    assert has_valid_hash(from_line(json.dumps(found)))


@given(text=TEXTS, form=st.sampled_from(RowFormat.values))
def test_any_row_is_one_event_of_a_collector(text, form):
    body = http_collector.to_event(sent(message=text, key=text), form)
    assert body.count(b"\n") == 1
    event = json.loads(body)
    assert event["time"] == "1795514700.123456"
    assert (event["event"]["message"] if form == RowFormat.JSON else event["event"]) is not None


# --- Sizes -------------------------------------------------------------------------------------
@pytest.mark.parametrize("form", RowFormat.values)
@pytest.mark.parametrize("letter", ["x", "ü", "𝔘", "\x01", '"'])
def test_no_message_is_longer_than_receivers_take(form, letter):
    labels = dict.fromkeys(("actor_name", "credential", "vault", "group", "key"), letter * 255)
    row = sent(message=letter * 2048, data={"a": letter * 4000, "b": letter * 4000}, **labels)
    message = formats.to_message(row, form)
    assert len(message) <= MAX_MESSAGE_BYTES
    assert b"4711" in message
    assert b"cut" in message.lower()


def test_a_collector_gets_rows_whole():
    row = sent(data={"a": "x" * 9000})
    assert len(http_collector.to_event(row, RowFormat.JSON)) > 9000


def test_bodies_for_a_collector_stay_below_its_limit():
    events = [b"x" * 300_000] * 5
    bodies = http_collector.in_bodies(events)
    assert [count for count, _body in bodies] == [2, 2, 1]
    assert all(len(body) <= http_collector.MAX_BODY_BYTES for _count, body in bodies)
