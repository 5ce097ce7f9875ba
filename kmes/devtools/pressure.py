"""Measures how fair and how robust the cloud worker is under pressure; prints one JSON line for each number.

``python -m kmes.devtools.pressure`` runs on a temporary installation with its real Redis, worker, SoftHSM and stand-in,
whose vault ``kv-premium`` and Resource Manager are silenced or made hostile by faults. Exit status 1 when a number
misses its goal. The goals are for a machine that does nothing else.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import django

from kmes.devtools import process_memory
from kmes.devtools.bench import print_line
from kmes.devtools.temporary_instance import TemporaryInstance, UnexpectedResult
from kmes.devtools.vault_client import VaultClient, VaultError
from kmes.supervision.processes import product_environment

if TYPE_CHECKING:
    from kmes.devtools.pressure_jobs import PressureJobs

SILENT_MS = 120_000
SCHEDULED = 1_000
# What is asked of each number: seconds, and MiB for the memory.
START_SECONDS = 2.0
START_BEHIND_SCHEDULE_SECONDS = 3.0
CANCEL_SECONDS = 2.0
MEMORY_MB = 250.0
# The deadline of one call here, so that the measurement ends soon; the default is longer.
CALL_SECONDS = 10
# What a run adds to its call: sign-in that is done, rows, and the look at the next job.
RUN_MARGIN_SECONDS = 5.0
HOSTILE: dict[str, dict[str, Any]] = {
    "body_of_150_mb": {"pad_bytes": 150_000_000},
    "drip": {"drip_ms": 200, "drip_bytes": 1},
    "endless_pages": {"endless_pages": True},
    "silence": {"delay_ms": SILENT_MS},
    "throttled_without_end": {"status": 429, "retry_after": 0},
}


class Faults:
    """Sets the stand-in's faults."""

    def __init__(self, temporary: TemporaryInstance) -> None:
        self._temporary = temporary

    def add(self, path: str, **what: object) -> None:
        """Let requests with this path go wrong from now on."""
        self._call("POST", "/_emulator/faults", {"path": path, "count": 100_000, **what})

    def clear(self) -> None:
        """Let everything go right again."""
        self._call("DELETE", "/_emulator/faults")

    def _call(self, method: str, path: str, body: object = None) -> None:
        client = VaultClient(self._temporary.vault_url(), ca_file=self._temporary.ca_file)
        try:
            client.call(method, path, body)
        finally:
            client.close()


class Result:
    """Whether all numbers met their goals."""

    is_good = True

    def add(self, name: str, value: float, goal: float, **more: object) -> None:
        """Print a number and its goal."""
        self.is_good = self.is_good and value <= goal
        print_line(name=name, value=round(value, 2), goal=round(goal, 2), is_met=value <= goal, **more)


@contextmanager
def peak_memory(pid: int) -> Iterator[Callable[[], float]]:
    """Watch the resident memory of a process and its children during the body; yields what returns the largest, in MiB."""
    done, peak = threading.Event(), [0.0]

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], *(process_memory.resident_mb(each) for each in process_memory.family_of(pid)))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: peak[0]
    finally:
        done.set()
        thread.join()


def measure_silence(jobs: PressureJobs, faults: Faults, result: Result) -> None:
    """Push to another vault beside twenty jobs that wait for an answer; then cancel those."""
    alone = jobs.push_to_other()
    waiting = jobs.prepare_silent()
    faults.add("/keys*", vault="kv-premium", delay_ms=SILENT_MS)
    faults.add("/subscriptions*", delay_ms=SILENT_MS)
    jobs.begin_silent(waiting)
    time.sleep(2 * START_SECONDS)
    beside = jobs.push_to_other()
    result.add(
        "push_start_beside_silent_vault_s", beside.start_seconds, START_SECONDS, alone=round(alone.start_seconds, 2)
    )
    # Half as long again, and what the machine's other work may add.
    goal = 1.5 * alone.run_seconds + 0.5
    result.add("push_run_beside_silent_vault_s", beside.run_seconds, goal, alone=round(alone.run_seconds, 2))
    result.add("cancel_of_waiting_jobs_s", jobs.cancel_silent(), CANCEL_SECONDS, jobs=jobs.silent_count)
    faults.clear()
    jobs.end_pauses()


def measure_backlog(jobs: PressureJobs, result: Result) -> None:
    """Push behind a thousand scheduled rotations."""
    jobs.request_rotations(SCHEDULED)
    behind = jobs.push_to_other()
    left = jobs.drop_waiting()
    result.add(
        "push_start_behind_rotations_s", behind.start_seconds, START_BEHIND_SCHEDULE_SECONDS, rotations_left=left
    )


def measure_hostility(temporary: TemporaryInstance, jobs: PressureJobs, faults: Faults, result: Result) -> None:
    """Let the vault answer with what no vault answers; watch the worker's memory, and how long a run holds it."""
    for name, what in HOSTILE.items():
        faults.add("/keys/*", vault="kv-premium", method="GET", **what)
        with peak_memory(temporary.pid_of("worker")) as peak:
            held = jobs.compare_once()
            result.add("worker_memory_mb", peak(), MEMORY_MB, answer=name)
        pauses = 60.0 if name.startswith("throttled") else 0.0
        result.add("worker_held_s", held, CALL_SECONDS + pauses + RUN_MARGIN_SECONDS, answer=name)
        faults.clear()
        jobs.end_pauses()


def main() -> int:
    """Measure everything; returns the exit code."""
    result = Result()
    try:
        with TemporaryInstance("pressure", KMES_CALL_SECONDS=str(CALL_SECONDS)) as temporary:
            os.environ.update(product_environment(temporary.instance, "manage"))
            django.setup()
            from kmes.devtools.pressure_jobs import PressureJobs  # noqa: PLC0415 - models exist once Django is set up

            jobs, faults = PressureJobs.of(temporary), Faults(temporary)
            measure_silence(jobs, faults, result)
            measure_hostility(temporary, jobs, faults, result)
            measure_backlog(jobs, result)
    except (UnexpectedResult, VaultError, OSError) as error:
        print(f"pressure: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pressure: stopped", file=sys.stderr)
        return 130
    return 0 if result.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
