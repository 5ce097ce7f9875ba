"""Ends processes that a killed supervisor left running, so that a new start finds ports and files free.

Reads Linux' /proc; ends only processes whose environment holds this installation's marker.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from kmes.supervision.processes import MARK


def find_orphans(state_dir: Path) -> list[int]:
    """Return the ids of living processes that were started for this state folder."""
    wanted = f"{MARK}={state_dir}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            entries = (folder / "environ").read_bytes().split(b"\0")
            ended = (folder / "stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
        except OSError:
            # Another user's process, or one that has ended.
            continue
        if wanted in entries and not ended and int(folder.name) != os.getpid():
            found.append(int(folder.name))
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
