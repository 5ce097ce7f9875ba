"""Each process is kept from what is not its own by the kernel, where the console is started as root.

What is tried runs as the process's user, in its groups and with its environment: ``tests/attacks/intruder.py``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kmes.core.separation import read_record
from kmes.supervision.part_users import DEFAULT_FIRST_NUMBER, PARTS, numbered_from
from tests import tables
from tests.supervision.installation import ROOT, installed

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes of several users")
USERS = numbered_from(DEFAULT_FIRST_NUMBER)
# What else a process may do beside its own work; all other tries must be refused.
ALLOWED = {
    "web": {"signing key", "database", "new file in database"},
    "reports": {"signing key", "database", "new file in database", "new file in exports"},
    "beat": {"beat's schedule", "new file in beat"},
    "worker": {
        *("PIN", "token", "SoftHSM's configuration", "token by the library", "device by our code"),
        *("new file in hsm", "new file in hsm/tokens", "pinned keys", "new file in pinned"),
        *("database", "new file in database"),
    },
}


@pytest.fixture(scope="module")
def running():
    with installed() as installation:
        tables.give_file(installation.state / "database" / "db.sqlite3")
        installation.start()
        yield installation


def status_of(pid: int) -> dict[str, str]:
    return dict(re.findall(r"^(\w+):[ \t]*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def intrude(running, name: str) -> dict[str, str]:
    """Try everything from a process; returns what each try came to."""
    pids, user = running.pids(), USERS.parts[name]
    port = running.environment["KMES_REDIS_PORT"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.attacks.intruder", name, str(running.state), json.dumps(pids), port],
        cwd=ROOT,
        env=environment_of(pids[name]),
        user=user.uid,
        group=user.gid,
        extra_groups=user.groups,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["web", "worker", "beat", "reports"])
def test_nothing_of_another_process_is_reached(running, name):
    found = intrude(running, name)
    assert {what: answer for what, answer in found.items() if answer != "refused" and what not in ALLOWED[name]} == {}
    # What it needs works, and so the tries themselves do.
    assert {what for what in ALLOWED[name] if not found[what].startswith("REACHED")} == set()
    assert running.is_ready


def test_each_process_has_a_user_of_its_own_and_no_way_to_more(running):
    for name, pid in running.pids().items():
        status, user = status_of(pid), USERS.parts[name]
        assert status["Uid"].split() == [str(user.uid)] * 4
        assert status["Gid"].split() == [str(user.gid)] * 4
        assert status["Groups"].split() == [str(group) for group in user.groups]
        assert {status[kind] for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {"0" * 16}
        assert status["NoNewPrivs"] == "1"
        assert "0" in re.search(r"Max core file size\s+(\S+)", Path(f"/proc/{pid}/limits").read_text()).group(1)
    assert len({USERS.parts[name].uid for name in PARTS}) == len(PARTS)


def test_the_start_records_that_they_are_separated(running):
    assert read_record(running.state).is_separated
    assert "all processes run as root" not in running.first_words
