"""The preparation says when the database is up to date, and how it ended."""

from __future__ import annotations

import sys
import time

import pytest

from kmes.supervision import supervisor
from kmes.supervision.instance import StartError
from kmes.supervision.preparation import Preparation
from kmes.supervision.processes import ProcessSpec

READY = "import os, sys, time; os.write(int(sys.argv[sys.argv.index('--database-ready-fd') + 1]), b'.');"


def prepare(program: str) -> Preparation:
    return Preparation(ProcessSpec("prepare", (sys.executable, "-c", program), {}))


def wait_for_database(preparation: Preparation) -> None:
    deadline = time.monotonic() + 60
    while not preparation.is_database_ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_database_is_said_to_be_ready_once_and_while_the_rest_still_runs():
    preparation = prepare(f"{READY} time.sleep(600)")
    wait_for_database(preparation)
    assert (preparation.is_database_ready(), preparation.has_ended()) == (False, False)
    preparation.end()
    # Ended by the supervisor, so nothing has failed.
    assert preparation.read() == ""


def test_what_it_says_is_handed_on():
    assert prepare("print('admin1')").read() == "admin1\n"


def test_its_last_sentence_is_the_reason_of_a_failure():
    preparation = prepare("import sys; print('more\\nNo device.', file=sys.stderr); sys.exit(1)")
    with pytest.raises(StartError, match=r"^No device\.$"):
        preparation.read()


def test_one_that_was_killed_by_somebody_else_has_failed():
    preparation = prepare(f"{READY} time.sleep(600)")
    wait_for_database(preparation)
    preparation.process.kill()
    with pytest.raises(StartError, match="ended with code -9"):
        preparation.read()


def test_a_long_preparation_is_waited_for_and_the_start_says_so(monkeypatch, capfd):
    """Migrations of a large database take as long as they take; cut short, they would begin again at each start."""
    slow = ProcessSpec("prepare", (sys.executable, "-c", "import time; time.sleep(0.7); print('admin1')"), {})
    monkeypatch.setattr(supervisor, "prepare_spec", lambda *_: slow)
    monkeypatch.setattr(supervisor, "STILL_PREPARING_SECONDS", 0.2)
    console = supervisor.Supervisor(instance=None)
    console._prepare()
    assert console.notes == "admin1\n"
    assert "Still preparing database and device" in capfd.readouterr().out
