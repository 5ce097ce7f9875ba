"""Ends processes that a killed supervisor left running, so that a new start finds ports and files free.

Reads Linux' /proc; ends only processes whose environment holds this installation's marker, and those of the parts'
users in the sessions that the pid files name.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from kmes.supervision.part_users import LOWEST_NUMBER
from kmes.supervision.processes import MARK


def find_orphans(state_dir: Path) -> list[int]:
    """Return the ids of living processes that were started for this state folder."""
    wanted = f"{MARK}={state_dir}".encode()
    sessions = _recorded_sessions(state_dir)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _parent, _group, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            uid = folder.stat().st_uid
        except OSError:
            # It has ended.
            continue
        # In many containers root may not look into processes of other users, and Redis overwrites its environment.
        # The parts' users are nobody else's, and each process that the supervisor starts is the first of its session.
        is_ours = uid >= LOWEST_NUMBER and int(session) in sessions
        with suppress(OSError):
            is_ours = is_ours or wanted in (folder / "environ").read_bytes().split(b"\0")
        if is_ours and state not in {"Z", "X"} and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def _recorded_sessions(state_dir: Path) -> set[int]:
    """Return the ids in the pid files of the former start."""
    found = set()
    for path in (state_dir / "run").glob("*.pid"):
        with suppress(OSError, ValueError):
            found.add(int(path.read_text()))
    return found


def _signal_all(pids: list[int], sent: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, sent)
        except ProcessLookupError:
            continue


def end_orphans(state_dir: Path, *, grace_seconds: float = 15.0) -> int:
    """End all orphans, first by SIGTERM, then by SIGKILL, and remove stale pid files; returns their number.

    Killing a worker in the middle of a step is safe: its lease expires and the job continues (docs/push.md).
    The grace period avoids that delay.
    """
    first = pids = find_orphans(state_dir)
    _signal_all(pids, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while pids and time.monotonic() < deadline:
        time.sleep(0.05)
        pids = find_orphans(state_dir)
    _signal_all(pids, signal.SIGKILL)
    while find_orphans(state_dir) and time.monotonic() < deadline + 5:
        time.sleep(0.05)
    for path in (state_dir / "run").glob("*.pid"):
        path.unlink(missing_ok=True)
    return len(first)
