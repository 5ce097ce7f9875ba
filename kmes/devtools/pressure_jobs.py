"""The jobs of the pressure measurement, asked for through the services. Needs Django set up before it is imported."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from cloudcreds.models import KeyVault, VaultCircuit
from jobs.choices import FINAL_STATES, JobState
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.list_vaults.spec import request_vault_list
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.kinds.test_connection.spec import request_connection_test
from jobs.models import Job
from jobs.services import request_cancel
from keygroups.models import KeyGroup
from keygroups.services import create_group
from keygroups.values import GroupValues
from kmes.core.actor import SCHEDULE
from kmes.devtools.push_driver import POLL_SECONDS, PushDriver
from kmes.devtools.temporary_instance import TemporaryInstance, UnexpectedResult

WAIT_SECONDS = 180.0
SILENT_GROUPS = 5


@dataclass
class Timed:
    """How long after its request a job started, and how long it then took, in seconds."""

    start_seconds: float
    run_seconds: float


class PressureJobs:
    """Asks for jobs and takes their times."""

    def __init__(self, silent: PushDriver, other: PushDriver) -> None:
        self._silent, self._other = silent, other
        self._waiting: list[Any] = []

    @classmethod
    def of(cls, temporary: TemporaryInstance) -> PressureJobs:
        """Use one credential of admin1 for the vault that will be silent and for the one that answers."""
        silent = PushDriver.of(temporary)
        return cls(silent, PushDriver(silent.credential, silent.actor, temporary.vault_url(1), name="other"))

    @property
    def silent_count(self) -> int:
        """Return how many jobs were asked for that wait for an answer."""
        return len(self._waiting)

    def push_to_other(self) -> Timed:
        """Push one key to the vault that answers."""
        keys = self._other_keys or self._make_other_keys()
        job = request_synchronize(keys=[keys.pop()], actor=self._silent.actor)
        ended = self._wait_for(job)
        if ended.state != JobState.SUCCEEDED:
            raise UnexpectedResult(f"Job {ended.code} is {ended.state}: {ended.error_what} {ended.waiting_for}")
        started, finished = ended.started_at, ended.finished_at
        return Timed((started - ended.created_at).total_seconds(), (finished - started).total_seconds())

    _other_keys: list[Any] | None = None

    def _make_other_keys(self) -> list[Any]:
        """Make the keys of all pushes at once, and push the first, so that each process is warm."""
        self._other.push_side_by_side(4, keys_each=1)
        self._other_keys = self._other.make_keys(5)
        return self._other_keys

    # --- jobs that wait for an answer ----------------------------------------------------------
    def prepare_silent(self) -> list[list[Any]]:
        """Return the keys of several groups of the vault that will be silent."""
        return [self._silent.make_keys(2) for _group in range(SILENT_GROUPS)]

    def begin_silent(self, keys: list[list[Any]]) -> None:
        """Ask for twenty jobs: comparisons, connection tests, listings, and pushes of one and of several groups."""
        actor, credential = self._silent.actor, self._silent.credential
        vault = KeyVault.objects.get(pk=keys[0][0].group.vault_id)
        answering = self._other.make_keys(SILENT_GROUPS)
        for ours, other in zip(keys, answering, strict=True):
            self._waiting += [
                request_check_drift(group=ours[0].group, actor=actor),
                request_connection_test(credential=credential, vault=vault, actor=actor),
                request_vault_list(credential=credential, actor=actor),
                request_synchronize(keys=[other, ours[1]], actor=actor),
            ]

    def cancel_silent(self) -> float:
        """Cancel all of them, one after the other. Return the longest time from a request to the job's end."""
        longest = 0.0
        for job in self._waiting:
            begun = time.monotonic()
            job.refresh_from_db()
            if job.state not in FINAL_STATES:
                request_cancel(job=job, actor=self._silent.actor)
                self._wait_for(job)
                longest = max(longest, time.monotonic() - begun)
        return longest

    def end_pauses(self) -> None:
        """Let the vault be asked again, and nothing be left of the measurement."""
        Job.objects.filter(state=JobState.QUEUED).update(state=JobState.CANCELLED)
        VaultCircuit.objects.all().delete()

    # --- one job against a hostile vault -------------------------------------------------------
    def compare_once(self) -> float:
        """Compare a group. Return how long the job's first run held a process, in seconds."""
        job = request_check_drift(group=KeyGroup.objects.get(name="bench-1"), actor=self._silent.actor)
        deadline = time.monotonic() + WAIT_SECONDS
        began = None
        while time.monotonic() < deadline:
            job.refresh_from_db()
            if began is None and job.started_at is not None:
                began = time.monotonic()
            if began is not None and job.state != JobState.RUNNING:
                return time.monotonic() - began
            time.sleep(POLL_SECONDS)
        raise UnexpectedResult(f"Job {job.code} still holds the worker after {WAIT_SECONDS:.0f} s")

    # --- a backlog of the schedule -------------------------------------------------------------
    def request_rotations(self, count: int) -> None:
        """Ask for that many rotations, each of a group of its own, as the schedule does."""
        for number in range(count):
            values = GroupValues(
                name=f"scheduled-{number}",
                credential=self._other.credential,
                vault=self._other.vault_url,
                key_spec="P-256",
                rotate=False,
            )
            request_rotation(group=create_group(values=values, actor=self._silent.actor), actor=SCHEDULE)

    def drop_waiting(self) -> int:
        """Take the jobs that still wait out of the queue. Return how many there were."""
        return Job.objects.filter(state=JobState.QUEUED).update(state=JobState.CANCELLED)

    def _wait_for(self, job: Any) -> Any:
        deadline = time.monotonic() + WAIT_SECONDS
        while job.state not in FINAL_STATES:
            if time.monotonic() > deadline:
                raise UnexpectedResult(f"Job {job.code} is {job.state} after {WAIT_SECONDS:.0f} s: {job.waiting_for}")
            time.sleep(POLL_SECONDS)
            job.refresh_from_db()
        return job
