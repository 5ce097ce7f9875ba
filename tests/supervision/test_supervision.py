"""One whole installation on its own ports: start, death of a part, stop, start again, and refusals to start."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kmes.devtools.process_memory import family_of
from tests.supervision.installation import PASSWORD, ROOT, Installation, installed, is_alive

NAMES = {"redis", "emulator", "web", "worker", "beat", "reports"}


@pytest.fixture(scope="module")
def installation():
    with installed() as installation:
        yield installation


@pytest.fixture
def running(installation):
    """It runs, whatever the test before did to it."""
    if installation.process is None or installation.process.poll() is not None:
        installation.start()
    return installation


@pytest.fixture
def stopped(tmp_path):
    return Installation(tmp_path / "state")


# --- A running installation ------------------------------------------------------------------
def test_every_process_runs_and_has_its_pid_file(running):
    pids = running.pids()
    assert pids.keys() == NAMES
    assert all(is_alive(pid) for pid in pids.values())


def test_the_first_page_asks_to_sign_in_and_the_probes_tell_the_truth(running):
    status, text = running.get("/")
    assert status == 200
    assert 'name="password"' in text
    checks = json.loads(running.get("/readyz")[1])["checks"]
    assert set(checks.values()) == {"ok"}
    assert checks.keys() >= {"database", "redis", "worker", "device"}


def test_the_start_says_where_the_console_is_and_who_may_sign_in_but_no_given_password(running):
    said = running.first_words
    assert f"http://127.0.0.1:{running.port}" in said
    assert "admin1" in said
    assert "admin2" in said
    assert PASSWORD not in said
    assert "Traceback" not in said


def test_the_state_is_for_its_owners_only(running):
    # As root each process has its own files; others pass through the folder, and list nothing.
    is_root = os.geteuid() == 0
    modes = {"": 0o711 if is_root else 0o700, "hsm": 0o700, "hsm/pin": 0o600, "secret_key": 0o640 if is_root else 0o600}
    found = {name: stat.S_IMODE((running.state / name).stat().st_mode) for name in modes}
    assert found == modes


@pytest.mark.parametrize("name", ["beat", "web", "worker", "redis"])
def test_a_killed_process_is_started_again(running, name):
    before = running.pids()[name]
    # Children of a killed process may go on answering for a moment.
    family = family_of(before)
    os.kill(before, signal.SIGKILL)
    running.await_that(lambda: running.pids().get(name, before) != before and not any(map(is_alive, family)))
    running.await_that(lambda: running.is_ready)
    assert f"{name} ended by signal 9; it starts again" in running.output()
    assert running.process.poll() is None


def test_another_instance_on_the_same_state_is_refused_in_one_sentence(running):
    code, _, errors = running.refuse()
    assert code == 1
    assert re.fullmatch(r"kmes: Another instance already runs on .*\n", errors)


def test_a_stop_is_clean_and_the_next_start_goes_on_where_it_was(running):
    pids = running.pids()
    serial = Path(running.state / "db.sqlite3").stat().st_ino
    vault = {path.name for path in (running.state / "azure_emulator").iterdir()}
    assert running.stop() == 0
    assert running.pids() == {}
    assert not any(is_alive(pid) for pid in pids.values())
    running.start()
    assert running.pids().keys() == NAMES
    assert Path(running.state / "db.sqlite3").stat().st_ino == serial
    assert vault <= {path.name for path in (running.state / "azure_emulator").iterdir()}
    # The same device with the same major keys, and nothing made twice.
    values = re.findall(r"check value \w+", running.output())
    assert values == re.findall(r"check value \w+", running.first_words)
    assert "made KMES" in running.first_words
    assert "made KMES" not in running.output()


def test_ctrl_c_stops_it_and_a_killed_supervisor_leaves_nothing_that_hinders_the_next(running):
    pids = running.pids()
    running.process.kill()
    running.process.wait()
    running.start()
    assert not any(is_alive(pid) for pid in pids.values())
    assert running.stop(signal.SIGINT) == 0
    assert running.pids() == {}


# --- What prevents a start -------------------------------------------------------------------
def assert_one_sentence(result, pattern):
    code, output, errors = result
    assert code == 1
    assert re.fullmatch(rf"kmes: {pattern}\n", errors), errors
    assert "Traceback" not in output + errors


@pytest.mark.parametrize("variable", ["KMES_PORT", "KMES_REDIS_PORT", "AZURE_EMULATOR_PORT"])
def test_a_port_in_use_is_named(stopped, variable):
    port = int(stopped.environment[variable])
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        assert_one_sentence(stopped.refuse(), rf"Port {port} is already in use: set {variable} to another one.*\.")
    assert stopped.pids() == {}


def test_a_missing_redis_is_named_with_the_line_that_installs_it(stopped, tmp_path):
    result = stopped.refuse(PATH=str(tmp_path))
    assert_one_sentence(result, r"redis-server is missing: install it by `sudo apt-get install -y redis-server`.*\.")


def test_a_missing_device_library_is_named(stopped, tmp_path):
    result = stopped.refuse(KMES_HSM_MODULE=str(tmp_path / "nothing.so"))
    assert_one_sentence(result, r"Initialising the device failed: .*nothing\.so.*")
    # Nothing that was started before stays.
    assert stopped.pids() == {}


def test_a_folder_that_cannot_be_written_is_named(stopped, tmp_path):
    (tmp_path / "file").touch()
    result = stopped.refuse(KMES_STATE_DIR=str(tmp_path / "file" / "state"))
    assert_one_sentence(result, r"The folder .* can't be written .*KMES_STATE_DIR\.")


def test_a_database_that_is_none_is_named(stopped):
    result = stopped.refuse(DATABASE_URL="postgres://kmes@127.0.0.1:1/none")
    assert_one_sentence(result, r"Bringing the database up to date failed: .*")


def test_a_wrong_pin_is_said_once_and_never_tried_again(stopped):
    prepared = subprocess.run(
        [sys.executable, "-m", "kmes.supervision.prepare"],
        cwd=ROOT,
        env={**stopped.environment, "DJANGO_SETTINGS_MODULE": "kmes.settings", "KMES_INSECURE_HTTP": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert prepared.returncode == 0, prepared.stderr
    pin = stopped.state / "hsm" / "pin"
    right = pin.read_text()
    pin.write_text("1" * len(right.strip()))
    result = stopped.refuse()
    assert_one_sentence(result, r"Initialising the device failed: .*PIN.*")
    assert right.strip() not in "".join(map(str, result))
    pin.write_text(right)


def test_an_open_pin_file_is_refused(stopped):
    (stopped.state / "hsm").mkdir(parents=True)
    pin = stopped.state / "hsm" / "pin"
    pin.write_text("12345678")
    pin.chmod(0o644)
    assert_one_sentence(stopped.refuse(), r"Initialising the device failed: .*(read|group|others).*")
