"""An attacker who can rewrite the log's tables, or hands an auditor a forged export, wants the verifier to agree."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from hsm.management.commands import hand_over_log
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from kmes.core.errors import DeviceError
from kmes.core.pinned_keys import KeyUse, pin, read_pinned
from logging_reports import checkpoints, handovers, triggers
from logging_reports.anchors import NO_CHECKPOINT, Anchor, Position, Statement
from logging_reports.chain import GENESIS, hash_entry
from logging_reports.json_lines import to_line
from logging_reports.models import LogEntry
from logging_reports.offline import main
from logging_reports.selectors import LogFilter, find_neighborhood
from logging_reports.services import Draft, record, record_many
from tests.hsm.conftest import device, own
from tests.logging_reports.harness import log_can_be_flushed
from tests.logging_reports.log_commands import execute, verify
from tests.logging_reports.signer import Signer

__all__ = ["device", "log_can_be_flushed", "own"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def signer():
    return Signer()


@pytest.fixture
def stranger():
    """The attacker's own key."""
    return Signer(is_pinned=False)


@pytest.fixture
def log(signer):
    """Seventy rows of the Azure Service log under two checkpoints."""
    for _turn in range(2):
        record_many([Draft(event="azure.probe", actor=SYSTEM, message=str(number)) for number in range(35)])
        signer.make_checkpoint()


def rewrite_history(new_signer) -> None:
    """Change a row, compute the chain anew, and sign every checkpoint anew, with the triggers as before."""
    triggers.remove(connection)
    execute("UPDATE logging_reports_logentry SET message = 'nothing happened' WHERE service = 'azure' AND sequence = 3")
    previous = GENESIS
    for row in LogEntry.objects.filter(service="azure").order_by("sequence"):
        row.previous_hash = previous
        hashed = previous = hash_entry(row)
        execute(
            "UPDATE logging_reports_logentry SET previous_hash = %s, hash = %s WHERE id = %s",
            [row.previous_hash, hashed, row.pk],
        )
    execute("UPDATE logging_reports_loghead SET hash = %s WHERE service = 'azure'", [previous])
    execute("DELETE FROM logging_reports_logcheckpoint")
    triggers.install(connection)
    if new_signer is not None:
        new_signer.make_checkpoint()


# --- The tables -----------------------------------------------------------------------------
def test_a_history_signed_anew_by_a_stranger_is_found(log, stranger):
    assert verify()[0] == 0
    rewrite_history(stranger)
    code, output = verify()
    assert code == 1
    assert f"signed by the key {stranger.key}, which is not trusted" in output


def test_a_history_without_any_checkpoint_is_not_proven(log):
    rewrite_history(None)
    code, output = verify()
    assert code == 2
    assert "NOT PROVEN: there is no checkpoint yet" in output


def test_without_a_pinned_key_and_without_a_given_one_nothing_is_proven(log, signer, settings, tmp_path):
    settings.KMES_PINNED_KEYS_FILE = tmp_path / "none.json"
    code, output = verify()
    assert code == 2
    assert "no checkpoint key is pinned or given" in output
    assert verify("--key", f"sha256:{signer.key}")[0] == 0


def test_a_given_key_counts_instead_of_the_pinned_ones(log, stranger):
    assert verify("--key", stranger.key)[0] == 1


def test_the_pages_do_not_call_a_row_verified_that_a_stranger_signed(log, stranger):
    assert checkpoints.mark_of(find_neighborhood(LogFilter(service="azure"), 5)).mark == checkpoints.Mark.VERIFIED
    rewrite_history(stranger)
    assert checkpoints.mark_of(find_neighborhood(LogFilter(service="azure"), 5)).mark == checkpoints.Mark.BROKEN


SQLITE_EMPTY = "CREATE TRIGGER {name} BEFORE UPDATE ON {table} WHEN 0 BEGIN SELECT 1; END"
POSTGRES_EMPTY = (
    "CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW WHEN (false) EXECUTE FUNCTION kmes_log_refuse();"
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"
)


def exchange_trigger(name: str, table: str) -> None:
    if connection.vendor == "sqlite":
        execute(f"DROP TRIGGER {name}")
        execute(SQLITE_EMPTY.format(name=name, table=table))
    else:
        execute(f"DROP TRIGGER {name} ON {table}")
        execute(POSTGRES_EMPTY.format(name=name, table=table))


def guards() -> dict[str, str]:
    if connection.vendor == "sqlite":
        return {name: triggers._sqlite_table(body) for name, body in triggers._SQLITE.items()}
    return {name: table for name, (table, _when) in triggers._POSTGRES.items()}


def test_each_trigger_is_compared_by_what_it_does_and_put_right_by_the_next_migration(log):
    for name, table in guards().items():
        exchange_trigger(name, table)
        code, output = verify()
        assert code == 1, name
        assert f"database: the trigger {name} is not as it was installed" in output
        triggers.install(connection)
        assert verify()[0] == 0, name


def test_a_trigger_of_somebody_else_is_named(log):
    exchange = SQLITE_EMPTY if connection.vendor == "sqlite" else POSTGRES_EMPTY
    execute(exchange.format(name="helpful", table=triggers.HEAD))
    assert "the trigger helpful is not of this console" in verify()[1]


def test_the_name_of_a_trigger_hides_no_line_on_the_terminal(log):
    exchange = SQLITE_EMPTY if connection.vendor == "sqlite" else POSTGRES_EMPTY
    name = "x\x1b[1A\x1b[2K\ncheckpoints: ok"
    execute(exchange.format(name=f'"{name}"', table=triggers.HEAD))
    status, said = verify()
    assert status == 1
    assert all(line.isprintable() for line in said.splitlines())
    assert "checkpoints: ok" not in [line[:15] for line in said.splitlines() if "trigger" in line]


def test_an_emptied_function_of_the_triggers_is_found(log):
    if connection.vendor != "postgresql":
        # SQLite's triggers call no function; their bodies are compared above.
        assert "FUNCTION" not in " ".join(triggers._SQLITE.values())
        return
    execute(
        "CREATE OR REPLACE FUNCTION kmes_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$"
    )
    code, output = verify()
    assert code == 1
    assert "is not as it was installed" in output


OVERWRITE = {
    "sqlite": "REPLACE INTO {t} (service, sequence, hash) VALUES ('azure', 0, 'x')",
    "postgresql": "INSERT INTO {t} (service, sequence, hash) VALUES ('azure', 0, 'x')"
    " ON CONFLICT (service) DO UPDATE SET sequence = 0",
}


def test_the_head_of_a_log_can_not_be_replaced(log):
    with pytest.raises(DatabaseError), transaction.atomic():
        execute(OVERWRITE[connection.vendor].format(t=triggers.HEAD))
    assert verify()[0] == 0


# --- The key --------------------------------------------------------------------------------
def hand_over(old, new, *, text="") -> dict[str, str]:
    text = text or handovers.write_text(at="2026-11-24T06:00:00.000000Z", old=old.key, new=new.key)
    return handovers.to_data(text, old.sign(text), old.public_key)


def test_a_key_takes_over_by_a_row_that_the_former_one_signed(log, signer, stranger):
    record(handovers.EVENT, actor=SYSTEM, data=hand_over(signer, stranger))
    stranger.make_checkpoint()
    assert verify("--key", signer.key)[0] == 0


def test_a_hand_over_that_the_new_key_signed_for_itself_gives_no_trust(log, signer, stranger):
    forged = handovers.write_text(at="2026-11-24T06:00:00.000000Z", old=signer.key, new=stranger.key)
    by_itself = hand_over(stranger, stranger, text=forged)
    pretended = {**by_itself, "signed_by": hand_over(signer, stranger)["signed_by"]}
    for data in (by_itself, pretended, {}, {"text": 1, "signature": "", "signed_by": ""}, {"text": forged}):
        record(handovers.EVENT, actor=SYSTEM, data=data)
    stranger.make_checkpoint()
    assert verify("--key", signer.key)[0] == 1


def test_a_checkpoint_is_no_hand_over_and_a_hand_over_no_checkpoint(device, settings):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True
    statement = Statement(1, now(), "0" * 64, NO_CHECKPOINT, (Position("azure", 0, GENESIS),))
    for sign, text in (
        (device.sign_handover, statement.to_text()),
        (device.sign_checkpoint, handovers.write_text(at="x", old="0" * 64, new="1" * 64)),
    ):
        with pytest.raises(DeviceError):
            sign(text.encode())


def test_the_command_signs_the_hand_over_in_the_device_and_pins_the_new_key(device, settings, stranger):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True
    call_command("hsm_init", verbosity=0)
    first = read_pinned(KeyUse.CHECKPOINT)
    call_command(hand_over_log.Command(), "--to", f"SHA256:{stranger.key.upper()}")
    stranger.make_checkpoint()
    assert read_pinned(KeyUse.CHECKPOINT) == (*first, stranger.key)
    assert verify("--key", first[0])[0] == 0
    for wrong in ("nonsense", first[0]):
        with pytest.raises(CommandError):
            call_command(hand_over_log.Command(), "--to", wrong)


# --- Rows and ends that stop the log ------------------------------------------------------
def add_past_the_console(sequence, service="azure"):
    """Add a row as whoever may add rows can, at any place."""
    last = LogEntry.objects.filter(service=service).order_by("-sequence").first()
    row = LogEntry(
        **{field.attname: getattr(last, field.attname) for field in LogEntry._meta.fields if field.attname != "id"}
    )
    row.sequence, row.message = sequence, "written past the console"
    row.save()


@pytest.mark.parametrize("steps", [(1,), (1, 2, 3), (2,), (1, 9_000, 2**62)])
def test_a_row_beyond_the_end_of_a_log_does_not_stop_it(log, steps):
    """Any process may add rows, and nobody removes one: a single row in the way would have stopped the console for good."""
    for step in steps:
        add_past_the_console(70 + step if step < 2**62 else step)
    written = record_many([Draft(event="azure.probe", actor=SYSTEM, message=str(number)) for number in range(3)])
    assert [row.sequence - written[0].sequence for row in written] == [0, 1, 2]
    assert record("azure.probe", actor=SYSTEM).sequence == written[-1].sequence + 1
    status, said = verify()
    assert status == 1
    assert "azure: TAMPERED at 71" in said


def test_the_end_of_a_log_is_not_moved_where_no_number_follows(log):
    move = "UPDATE logging_reports_loghead SET sequence = %s WHERE service = 'azure'"
    for far in (2**63 - 1, 70 + triggers.HIGHEST_STEP + 1):
        with pytest.raises(DatabaseError), transaction.atomic():
            execute(move, [far])
    execute(move, [70 + triggers.HIGHEST_STEP])
    assert record("azure.probe", actor=SYSTEM).sequence == 71 + triggers.HIGHEST_STEP
    assert verify()[0] == 1


# --- The export -----------------------------------------------------------------------------
@pytest.fixture
def export(log, tmp_path):
    path = tmp_path / "export.jsonl"
    path.write_text("".join(to_line(row) for row in LogEntry.objects.filter(service="azure").order_by("-sequence")))
    return path


@pytest.fixture
def anchor(log, tmp_path):
    path = tmp_path / "anchor.txt"
    path.write_text(checkpoints.find_newest().anchor.to_file())
    return path


def check(export, anchor, signer, *options) -> int:
    return main([str(export), "--anchor", str(anchor), "--key", signer.key, *options])


def test_an_honest_export_is_proven(export, anchor, signer, capsys):
    assert check(export, anchor, signer) == 0
    said = capsys.readouterr().out
    assert "70 rows" in said
    assert signer.key in said


def test_a_forged_export_with_a_forged_anchor_is_refused(export, anchor, signer, stranger):
    newest = checkpoints.find_newest().anchor.verify()
    text = Statement(newest.number, newest.at, stranger.key, newest.previous_hash, newest.positions).to_text()
    anchor.write_text(Anchor(text, stranger.sign(text), stranger.public_key).to_file())
    assert check(export, anchor, signer) == 1


def test_an_exported_hand_over_by_a_stranger_does_not_help(anchor, signer, stranger, log, tmp_path):
    record(handovers.EVENT, actor=SYSTEM, data=hand_over(stranger, stranger))
    stranger.make_checkpoint()
    export = tmp_path / "audit.jsonl"
    export.write_text("".join(to_line(row) for row in LogEntry.objects.filter(service="audit").order_by("-sequence")))
    anchor.write_text(checkpoints.find_newest().anchor.to_file())
    assert check(export, anchor, signer) == 1


@pytest.mark.parametrize("kept", [slice(60, None), slice(None, 10), slice(0, None, 2), slice(1, None)])
def test_a_cut_export_is_refused_wherever_it_was_cut(kept, export, anchor, signer):
    lines = export.read_text().splitlines(keepends=True)
    export.write_text("".join(lines[kept]))
    assert check(export, anchor, signer) == 1
    assert check(export, anchor, signer, "--filtered") in ({0, 2} if kept == slice(None, 10) else {2})


@pytest.mark.parametrize("content", ["", "\n", "{}\n"])
def test_an_empty_export_proves_nothing(content, export, anchor, signer):
    export.write_text(content)
    assert check(export, anchor, signer) != 0


def test_a_log_s_name_in_an_export_prints_no_line_of_its_own(export, anchor, signer, capsys):
    said = "x\x1b[2J\nexport: ok, 70 rows of the log “azure”: 70 proven by the anchor"
    export.write_text(export.read_text().replace('"service":"azure"', f'"service":{json.dumps(said)}'))
    assert check(export, anchor, signer) == 1
    printed = capsys.readouterr().out
    assert all(line.isprintable() for line in printed.splitlines())
    assert "export: ok" not in printed


def test_an_export_cut_in_the_middle_of_a_line_is_refused(export, anchor, signer):
    export.write_text(export.read_text()[:-1])
    assert check(export, anchor, signer) == 1


def test_a_pinned_key_of_this_installation_is_what_its_own_command_demands(
    export, anchor, signer, stranger, settings, tmp_path
):
    arguments = ("--export", str(export), "--anchor", str(anchor))
    assert verify(*arguments)[0] == 0
    settings.KMES_PINNED_KEYS_FILE = tmp_path / "other.json"
    pin({KeyUse.CHECKPOINT: stranger.key})
    assert verify(*arguments)[0] == 1
