"""Signed checkpoints: when one is due, what it covers, and what only a kept one can find."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from kmes.core.actor import SYSTEM
from logging_reports import checkpoints, triggers
from logging_reports.anchors import Anchor, AnchorError, read_anchor, read_statement
from logging_reports.chain import FIELDS, hash_entry
from logging_reports.models import ImmutableLogError, LogCheckpoint, LogEntry, LogHead
from logging_reports.services import Draft, Subject, record_many
from tests.logging_reports.log_commands import execute, verify
from tests.logging_reports.signer import Signer

pytestmark = pytest.mark.django_db
T = "logging_reports_logentry"
C = "logging_reports_logcheckpoint"


@pytest.fixture
def signer():
    return Signer()


def write(count: int = 5, event: str = "azure.probe") -> list[LogEntry]:
    return record_many([Draft(event=event, actor=SYSTEM, message=str(n)) for n in range(count)])


def tamper(table: str, column: str, value: object, where: str = "1 = 1", values=()) -> None:
    execute(f'UPDATE {table} SET "{column}" = %s WHERE {where}', [value, *values])  # noqa: S608 - names of our own


def keep(checkpoint: LogCheckpoint, folder) -> str:
    path = folder / f"anchor-{checkpoint.number}.txt"
    path.write_text(checkpoint.anchor.to_file())
    return str(path)


def rechain(service: str, first: int) -> None:
    """Recompute a chain from a row on, as somebody who changed it would."""
    rows = list(LogEntry.objects.filter(service=service, sequence__gte=first - 1).order_by("sequence"))
    previous = rows[0].hash
    for row in rows[1:]:
        row.previous_hash = previous
        previous = hash_entry(row)
        tamper(T, "previous_hash", row.previous_hash, "id = %s", [row.pk])
        tamper(T, "hash", previous, "id = %s", [row.pk])
    execute("UPDATE logging_reports_loghead SET hash = %s WHERE service = %s", [previous, service])


def test_nothing_is_due_where_nothing_is_logged():
    assert not checkpoints.is_due()


def test_the_first_rows_make_one_due_at_once_and_later_ones_after_a_while(signer):
    with time_machine.travel(datetime(2026, 11, 24, 6, tzinfo=UTC), tick=False) as clock:
        write()
        assert checkpoints.is_due()
        first = signer.make_checkpoint()
        # The first one is itself logged: its key is a fact of the log.
        assert LogEntry.objects.get(event="log.checkpoint_key").data["key"].endswith(read_statement(first.text).key)
        assert not checkpoints.is_due()
        clock.shift(timedelta(seconds=299))
        assert not checkpoints.is_due()
        clock.shift(timedelta(seconds=1))
        assert checkpoints.is_due()
        assert signer.make_checkpoint().number == 2
        clock.shift(timedelta(minutes=59))
        assert not checkpoints.is_due()
        assert signer.make_checkpoint() is None
        clock.shift(timedelta(minutes=1))
        # Nothing new: one is made all the same, so that silence is told from one taken away.
        assert checkpoints.is_due()
        assert signer.make_checkpoint().number == 3
    assert verify()[0] == 0


def test_many_rows_make_one_due_before_its_time(signer):
    write()
    signer.make_checkpoint()
    write(checkpoints.ROWS_BEFORE_TIME)
    assert checkpoints.is_due()


def test_a_long_log_is_covered_piece_by_piece(signer, monkeypatch):
    monkeypatch.setattr(checkpoints, "ROWS_AT_ONCE", 4)
    write(10)
    reached = [checkpoints.positions_of(signer.make_checkpoint())["azure"].sequence for _turn in range(3)]
    assert reached == [4, 8, 10]
    assert verify()[0] == 0


def test_a_checkpoint_says_where_each_log_ended(signer):
    rows = write()
    statement = read_statement(signer.make_checkpoint().text)
    assert [position.service for position in statement.positions] == ["audit", "azure", "device"]
    ends = {position.service: (position.sequence, position.hash) for position in statement.positions}
    assert ends["azure"] == (5, rows[-1].hash)
    assert ends["device"][0] == 0


def test_two_workers_keep_one_of_each_number(signer):
    write()
    draft = checkpoints.prepare(signer.public_key)
    anchor = Anchor(draft.text, signer.sign(draft.text), signer.public_key)
    assert checkpoints.store(anchor).number == 1
    assert checkpoints.store(anchor) is None
    assert LogCheckpoint.objects.count() == 1


def test_a_wrong_signature_is_not_kept(signer):
    write()
    draft = checkpoints.prepare(signer.public_key)
    with pytest.raises(AnchorError):
        checkpoints.store(Anchor(draft.text, Signer().sign(draft.text), signer.public_key))
    assert not LogCheckpoint.objects.exists()


def test_a_changed_row_is_never_covered_and_said_once(signer, unguarded_log):
    write()
    tamper(T, "message", "x", "sequence = 3")
    draft = checkpoints.prepare(signer.public_key)
    assert [(service.value, found.sequence) for service, found in draft.breaks] == [("azure", 3)]
    assert checkpoints.positions_of(signer.make_checkpoint())["azure"].sequence == 2
    for _turn in range(2):
        checkpoints.report_break(*draft.breaks[0])
    assert LogEntry.objects.filter(event="log.chain_broken").count() == 1


def test_checkpoints_can_be_neither_changed_nor_removed(signer):
    write()
    row = signer.make_checkpoint()
    for attempt in (
        row.save,
        row.delete,
        LogCheckpoint.objects.all().delete,
        lambda: LogCheckpoint.objects.update(at=0),
    ):
        with pytest.raises(ImmutableLogError):
            attempt()
    statements = ["UPDATE logging_reports_logcheckpoint SET number = 9", "DELETE FROM logging_reports_logcheckpoint"]
    if connection.vendor == "postgresql":
        statements.append("TRUNCATE logging_reports_logcheckpoint")
    else:
        statements.append("REPLACE INTO logging_reports_logcheckpoint SELECT * FROM logging_reports_logcheckpoint")
    for statement in statements:
        with pytest.raises(DatabaseError), transaction.atomic():
            execute(statement)


TEXTS = {
    "at": "2020-01-01 00:00:00+00:00",
    "data": '{"other": 1}',
    "job_id": "00000000000000000000000000000009",
    "actor_user_id": 99,
    "http_status": 599,
    "duration_ms": 1,
    "truncated": True,
    "chain_format": 1,
    "service": "device",
    "sequence": 77,
    "hash": "0" * 64,
    "previous_hash": "1" * 64,
}


@pytest.mark.parametrize("sequence", [1, 3, 5])
@pytest.mark.parametrize("name", ["chain_format", *FIELDS, "hash", "previous_hash"])
def test_a_changed_field_of_any_row_is_found(name, sequence, signer, unguarded_log):
    write()
    signer.make_checkpoint()
    tamper(
        T,
        LogEntry._meta.get_field(name).column,
        TEXTS.get(name, "x"),
        "service = 'azure' AND sequence = %s",
        [sequence],
    )
    triggers_back()
    assert verify()[0] == 1


def test_a_chain_computed_anew_is_found_by_the_checkpoint(signer, unguarded_log):
    write()
    signer.make_checkpoint()
    tamper(T, "message", "x", "service = 'azure' AND sequence = 2")
    rechain("azure", 2)
    triggers_back()
    code, output = verify()
    assert code == 1
    assert "azure: ok" in output
    assert "azure row 5 is not the one that checkpoint 1 names" in output


def triggers_back() -> None:
    triggers.install(connection)


def cut(keep_rows: int, keep_checkpoints: int) -> None:
    """Cut the end of the log off, with every checkpoint and end that speaks of it."""
    triggers.remove(connection)
    last = LogEntry.objects.get(service="azure", sequence=keep_rows)
    execute("DELETE FROM logging_reports_logentry WHERE service = 'azure' AND sequence > %s", [keep_rows])
    execute("DELETE FROM logging_reports_logcheckpoint WHERE number > %s", [keep_checkpoints])
    LogHead.objects.filter(service="azure").update(sequence=keep_rows, hash=last.hash)
    triggers_back()


def test_a_cut_end_is_found_with_an_anchor_and_only_with_one(signer, tmp_path):
    write()
    signer.make_checkpoint()
    write()
    kept = keep(signer.make_checkpoint(), tmp_path)
    assert verify("--anchor", kept)[0] == 0
    cut(5, 1)
    code, output = verify()
    assert code == 0
    assert "would not be found" in output
    code, output = verify("--anchor", kept)
    assert code == 1
    assert "rolled back behind the anchor" in output
    assert "azure row 10 is gone" in output


def test_an_older_anchor_stays_good_as_the_log_grows(signer, tmp_path):
    write()
    kept = keep(signer.make_checkpoint(), tmp_path)
    write()
    signer.make_checkpoint()
    assert verify("--anchor", kept)[0] == 0


def test_checkpoints_signed_by_a_key_that_is_not_pinned_or_given_are_found(signer, tmp_path):
    write()
    first = signer.make_checkpoint()
    kept, key = keep(first, tmp_path), read_statement(first.text).key
    write()
    Signer(is_pinned=False).make_checkpoint()
    for arguments in ((), ("--anchor", kept), ("--key", key)):
        code, output = verify(*arguments)
        assert code == 1
        assert "which is not trusted" in output


def test_a_checkpoint_taken_out_or_exchanged_is_found(signer, unguarded_log):
    for _turn in range(3):
        write()
        signer.make_checkpoint()
    execute("DELETE FROM logging_reports_logcheckpoint WHERE number = 2")
    assert "checkpoint 2 is missing" in verify()[1]
    execute("UPDATE logging_reports_logcheckpoint SET number = 2 WHERE number = 3")
    code, output = verify()
    assert code == 1
    assert "missing or was exchanged" in output


@pytest.mark.parametrize("column", ["text", "hash", "at"])
def test_a_changed_checkpoint_is_found(column, signer, unguarded_log):
    write()
    row = signer.make_checkpoint()
    value = {"text": row.text.replace("number 1", "number 2"), "hash": "0" * 64, "at": "2020-01-01 00:00:00+00:00"}
    tamper(C, column, value[column])
    triggers_back()
    code, output = verify()
    assert code == 1
    assert "checkpoints: TAMPERED" in output


def test_an_anchor_file_reads_back_and_every_changed_byte_of_it_is_noticed(signer):
    write()
    content = signer.make_checkpoint().anchor.to_file()
    assert read_anchor(content).verify().number == 1
    for place in range(0, len(content), 3):
        changed = content[:place] + ("1" if content[place] != "1" else "2") + content[place + 1 :]
        with pytest.raises(AnchorError):
            read_anchor(changed).verify()


@pytest.mark.parametrize("content", ["", "nonsense", "\x00"])
def test_an_anchor_that_is_none_ends_2(content, tmp_path):
    path = tmp_path / "anchor.txt"
    path.write_text(content)
    with pytest.raises(CommandError) as refusal:
        call_command("verify_log", "--anchor", str(path))
    assert refusal.value.returncode == 2


def test_a_row_is_named_by_its_subject_in_the_report(signer, unguarded_log):
    record_many([Draft(event="azure.probe", actor=SYSTEM, subject=Subject(key="k"))])
    tamper(T, "key", "other")
    (place,) = checkpoints.prepare(signer.public_key).breaks
    checkpoints.report_break(*place)
    assert "row 1" in LogEntry.objects.get(event="log.chain_broken").message
