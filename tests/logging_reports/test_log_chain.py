"""The hash chain finds every change, gap and exchange; the database refuses to make one."""

from __future__ import annotations

import uuid
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from logging_reports import chain
from logging_reports.models import ImmutableLogError, LogEntry, LogHead

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
DATA = st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.booleans(), st.none(), st.lists(TEXT, max_size=2)))
VALUES = {
    "service": st.sampled_from(["azure", "audit", "device"]),
    "sequence": st.integers(1, 2**62),
    "at": st.datetimes(
        min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        timezones=st.just(UTC),
    ),
    "actor_user_id": st.none() | st.integers(0, 2**31),
    "job_id": st.none() | st.uuids(),
    "http_status": st.none() | st.integers(0, 599),
    "duration_ms": st.none() | st.integers(0, 2**40),
    "data": DATA,
    "truncated": st.booleans(),
    "chain_format": st.sampled_from(sorted(chain.FORMATS)),
}
ROW = st.fixed_dictionaries({name: VALUES.get(name, TEXT) for name in ("chain_format", *chain.FIELDS)})


def linked(rows: list[dict]) -> list[LogEntry]:
    """Chain the rows as the writer does."""
    entries, previous = [], chain.GENESIS
    for number, row in enumerate(rows, start=1):
        entry = LogEntry(**{**row, "sequence": number}, previous_hash=previous)
        previous = entry.hash = chain.hash_entry(entry)
        entries.append(entry)
    return entries


@given(st.lists(ROW, max_size=6))
def test_an_untouched_chain_holds(rows):
    entries = linked(rows)
    head = (len(entries), entries[-1].hash if entries else chain.GENESIS)
    assert chain.find_break(entries, head=head) == (len(entries), None)


@settings(max_examples=200)
@given(st.lists(ROW, min_size=1, max_size=5), st.data())
def test_any_changed_field_is_found_at_its_row(rows, data):
    entries = linked(rows)
    target = data.draw(st.integers(0, len(rows) - 1), label="row")
    name = data.draw(st.sampled_from(["chain_format", *(n for n in chain.FIELDS if n != "sequence")]), label="field")
    before = getattr(entries[target], name)
    setattr(entries[target], name, data.draw(VALUES.get(name, TEXT).filter(lambda v: v != before), label="value"))
    count, found = chain.find_break(entries)
    assert count == target
    assert found is not None
    assert (found.sequence, found.reason) == (target + 1, f"row {target + 1} was altered")


@given(ROW, st.sampled_from([n for n in chain.FIELDS if n not in VALUES]), st.data())
def test_text_can_not_move_to_the_next_field(row, name, data):
    following = chain.FIELDS[chain.FIELDS.index(name) + 1]
    if following in VALUES or not row[name]:
        return
    moved = {**row, name: row[name][:-1], following: row[name][-1] + row[following]}
    assert linked([row])[0].hash != linked([moved])[0].hash


@given(st.lists(ROW, min_size=2, max_size=6), st.data())
def test_a_missing_row_is_a_gap(rows, data):
    entries = linked(rows)
    gone = data.draw(st.integers(0, len(rows) - 2))
    del entries[gone]
    _count, found = chain.find_break(entries)
    assert found is not None
    assert found.sequence == gone + 1
    assert "missing" in found.reason


@given(st.lists(ROW, min_size=2, max_size=6), st.data())
def test_exchanged_rows_are_found(rows, data):
    entries = linked(rows)
    first, second = sorted(data.draw(st.permutations(range(len(rows))))[:2])
    entries[first].sequence, entries[second].sequence = entries[second].sequence, entries[first].sequence
    entries[first], entries[second] = entries[second], entries[first]
    _count, found = chain.find_break(entries)
    assert found is not None
    assert found.sequence == first + 1


@given(st.lists(ROW, min_size=1, max_size=4))
def test_rows_cut_off_the_end_are_found_by_the_head(rows):
    entries = linked(rows)
    _count, found = chain.find_break(entries[:-1], head=(len(rows), entries[-1].hash))
    assert found is not None
    assert found.sequence == len(rows)


@given(st.lists(ROW, min_size=1, max_size=4), st.data())
def test_a_rewritten_row_breaks_the_link_of_the_next_or_the_head(rows, data):
    entries = linked(rows)
    head = (len(entries), entries[-1].hash)
    target = data.draw(st.integers(0, len(rows) - 1))
    entries[target].message += "x"
    entries[target].hash = chain.hash_entry(entries[target])
    _count, found = chain.find_break(entries, head=head)
    assert found is not None
    assert found.sequence == min(target + 2, len(rows))


@pytest.mark.parametrize(
    ("chain_format", "digest"),
    [
        (1, "13d7dbbc2d483ccde9211e8f5e7a0d34b94c99135939a7f04345444afcc73423"),
        (2, "426ff6c1fc26434a5a065f546b100617ae402d6b4397d1b9feaf4df90abed694"),
    ],
)
def test_the_format_never_changes_under_its_name(chain_format, digest):
    """Old logs must verify for good, so the hash of a known row is written down here."""
    entry = LogEntry(
        chain_format=chain_format,
        service="azure", sequence=1, at=datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC), category="import",
        severity="info", event="azure.key_imported", actor_name="admin1", actor_trigger="user", actor_user_id=7,
        key="tde-prod", job_id=uuid.UUID(int=1), job_code="7F3KQ2", http_status=200, duration_ms=12,
        message="Grüße", data={"b": [1, True, None], "a": "x"}, previous_hash=chain.GENESIS,
    )  # fmt: skip
    assert chain.hash_entry(entry) == digest


@given(ROW, st.integers().filter(lambda n: n not in chain.FORMATS) | TEXT | st.none())
def test_a_format_that_nobody_knows_is_an_altered_row(row, unknown):
    (entry,) = linked([row])
    entry.chain_format = unknown
    assert not chain.has_valid_hash(entry)


def test_canonical_json_is_sorted_compact_and_unicode():
    assert chain.canonical_json({"b": 1, "a": ["ü", None]}) == '{"a":["ü",null],"b":1}'


def refuses(sql: str) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.django_db
def test_the_database_refuses_to_change_or_remove_rows(log_row):
    refuses("UPDATE logging_reports_logentry SET message = 'other'")
    refuses("DELETE FROM logging_reports_logentry")
    refuses("DELETE FROM logging_reports_loghead")
    refuses("UPDATE logging_reports_loghead SET sequence = 0")
    if connection.vendor == "postgresql":
        refuses("TRUNCATE logging_reports_logentry")
        refuses("TRUNCATE logging_reports_loghead")
    else:
        refuses("REPLACE INTO logging_reports_logentry SELECT * FROM logging_reports_logentry")
    assert LogEntry.objects.get(pk=log_row.pk).message == log_row.message


@pytest.mark.django_db
def test_postgresql_replica_role_does_not_switch_the_triggers_off(log_row):
    if connection.vendor != "postgresql":
        pytest.skip("a PostgreSQL setting")
    refuses("SET LOCAL session_replication_role = replica; DELETE FROM logging_reports_logentry")


@pytest.mark.django_db
def test_the_code_refuses_before_the_database_does(log_row):
    for attempt in (
        log_row.save,
        log_row.delete,
        LogEntry.objects.all().delete,
        lambda: LogEntry.objects.update(message="other"),
    ):
        with pytest.raises(ImmutableLogError):
            attempt()


@pytest.mark.django_db
def test_what_is_read_back_hashes_as_it_was_written(log_row):
    again = LogEntry.objects.get(pk=log_row.pk)
    assert chain.hash_entry(again) == again.hash == LogHead.objects.get(service="azure").hash
    changed = deepcopy(again)
    changed.at += timedelta(microseconds=1)
    assert chain.hash_entry(changed) != again.hash
