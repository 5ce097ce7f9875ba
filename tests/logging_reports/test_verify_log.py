"""``manage.py verify_log`` says what it found by its exit status and names the first bad row."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from kmes.core.actor import SYSTEM
from logging_reports.services import Draft, record_many
from tests.logging_reports.log_commands import execute, verify
from tests.logging_reports.signer import Signer

pytestmark = pytest.mark.django_db


@pytest.fixture
def five_rows(db):
    return record_many([Draft(event="azure.probe", actor=SYSTEM, message=str(n)) for n in range(5)])


def test_an_empty_log_is_intact():
    assert verify()[0] == 0


def test_an_intact_log_ends_0_and_shows_its_end(five_rows):
    Signer().make_checkpoint()
    code, output = verify("--service", "azure")
    assert code == 0
    assert f"azure: ok, 5 rows, ends in {five_rows[-1].hash[:16]}" in output


TAMPERINGS = {
    "an altered row": ("UPDATE {t} SET message = 'x' WHERE sequence = 3", 3, "altered"),
    "a deleted row": ("DELETE FROM {t} WHERE sequence = 2", 2, "missing"),
    "a cut end": ("DELETE FROM {t} WHERE sequence > 3", 4, "at the end are missing"),
    "a cut beginning": ("DELETE FROM {t} WHERE sequence = 1", 1, "missing"),
    "everything gone": ("DELETE FROM {t}", 1, "at the end are missing"),
    "a head moved back": ("UPDATE {h} SET sequence = 4", 5, "beyond the recorded end"),
    "a head with another hash": ("UPDATE {h} SET hash = '00'", 5, "not the recorded end"),
    "a head removed": ("DELETE FROM {h}", 1, "beyond the recorded end"),
    "a hash that isn't one": ("UPDATE {t} SET previous_hash = 'zz' WHERE sequence = 1", 1, "link"),
    "another row's time": ("UPDATE {t} SET at = '2020-01-01 00:00:00+00:00' WHERE sequence = 5", 5, "altered"),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_tampering_ends_1_and_names_the_row(what, five_rows, unguarded_log):
    sql, sequence, reason = TAMPERINGS[what]
    execute(sql.format(t="logging_reports_logentry", h="logging_reports_loghead"))
    code, output = verify("--json")
    found = next(log for log in json.loads(output)["logs"] if log["service"] == "azure")
    assert code == 1
    assert not found["intact"]
    assert found["first_break"]["sequence"] == sequence
    assert reason in found["first_break"]["reason"]
    assert f"azure: TAMPERED at {sequence}" in verify()[1]


def test_a_missing_trigger_ends_1_although_the_rows_hold(five_rows, unguarded_log):
    Signer().make_checkpoint()
    code, output = verify()
    assert code == 1
    assert "azure: ok" in output
    assert "missing or switched off" in output


def test_a_log_that_can_not_be_read_ends_2(unguarded_log):
    execute("ALTER TABLE logging_reports_logentry RENAME TO gone")
    # The savepoint keeps PostgreSQL's transaction usable after the error inside it.
    with pytest.raises(CommandError) as refusal, transaction.atomic():
        call_command("verify_log")
    assert refusal.value.returncode == 2
    execute("ALTER TABLE gone RENAME TO logging_reports_logentry")


def test_an_unknown_log_ends_2():
    with pytest.raises(CommandError) as refusal:
        call_command("verify_log", "--service", "nonsense")
    assert refusal.value.returncode in (1, 2)
