"""One run of one job: its claim, who acts, what it works on now, and the way into its transactions.

Every write goes through ``write()``: a transaction that commits only while the claim holds. What waits for the
next one is written with it: deferred writes first, log rows last. No transaction is open while the device or
the vault is asked; the gateways assert it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, Unpack
from uuid import UUID

from django.conf import settings
from django.db import transaction

from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.send_deadline import SendBy
from hsm.device import Device, get_device
from jobs.choices import TargetState
from jobs.engine import hints, lifecycle
from jobs.engine.authenticity import check_target
from jobs.engine.requester import requester_of
from jobs.engine.run_log import LogDetails, RunLog
from jobs.engine.step_rows import StepRows
from jobs.engine.transaction import RunTransaction
from jobs.models import Job, JobTarget
from jobs.spec import registry
from keygroups.models import Key, KeyGroup
from kmes.core.actor import SYSTEM
from kmes.core.failpoints import failpoint
from logging_reports.services import Draft, LoggedChange

# What a job's page shows may be so old.
NOTICED_SECONDS = 0.25


class AnnouncedCall(Protocol):
    """A mutating call that stands in the journal before it is made."""

    send_by: SendBy

    def renew(self, tx: RunTransaction) -> None:
        """Announce it again from now on."""


class JobRun:
    """One run of one job under one claim."""

    def __init__(self, job: Job, claim: lifecycle.Claim) -> None:
        self.job = job
        self.spec = registry[job.kind]
        self.claim = claim
        self.actor = requester_of(job)
        # The keys it was requested for; None until the request was checked. Rows of others may appear while it runs.
        self.requested_keys: frozenset[UUID] | None = None
        # The key group the run works on; a job on several groups works on one after the other.
        self.group = job.group
        # Which part of the job its steps belong to: the group's name in a job on several, else "".
        self.part = ""
        # Off while a run cleans up: stopping would leave more behind than going on.
        self.may_cancel = True
        # On while a cancelled job cleans up: it does not wait for a vault that is silent.
        self.is_hurried = False
        # Whether the call under way was given up (``jobs.engine.slow_calls``); its failure says nothing of the vault.
        self.has_given_up = False
        # When a slow call was last recorded, by the monotonic clock; None before the first one.
        self.slow_recorded_at: float | None = None
        # The vaults that did not answer lately, as far as this run knows.
        self.troubled_vaults: set[UUID] = set()
        # When this run last began a turn on its worker (``jobs.engine.turns``).
        self.turn_began = time.monotonic()
        # Gateways opened so far (``jobs.engine.gateways``), by vault and key group.
        self.gateways: dict[object, VaultGateway] = {}
        # Send deadline for mutating calls; the claim was valid here.
        self.send_by = SendBy.within(settings.KMES_SEND_SECONDS)
        # The announced call under way, which has a send deadline of its own.
        self.announced_call: AnnouncedCall | None = None
        # Targets whose work failed in a way that ends the run: the others were not tried (``jobs.engine.undone``).
        self.tried: set[int] = set()
        # Reasons that messages have told: a line about another key does not repeat them.
        self.told_reasons: set[str] = set()
        self._deferred: list[Callable[[RunTransaction], object]] = []
        # When it last wrote something, by the monotonic clock.
        self._written_at = time.monotonic()
        self._log = RunLog(job, self.actor)
        self._steps = StepRows(job)

    # --- writing ---------------------------------------------------------------------------
    @contextmanager
    def write(self) -> Iterator[RunTransaction]:
        """Open a transaction that commits only while the claim holds.

        Raises:
            LeaseLost: another worker has the job; nothing is written.

        """
        send_by = SendBy.within(settings.KMES_SEND_SECONDS)
        tx = RunTransaction(self.job, self.claim, log=self._log, steps=self._steps, part=self.part)
        try:
            with lifecycle.fenced(self.claim):
                self._write_deferred(tx)
                yield tx
                self._log.write(tx.log_rows)
        finally:
            tx.close()
        self.send_by, self._written_at = send_by, time.monotonic()

    def defer(self, write: Callable[[RunTransaction], object]) -> None:
        """Do ``write`` at the start of the next transaction, and again if that transaction rolls back."""
        self._deferred.append(write)

    def store_with_next(self, change: LoggedChange) -> None:
        """Do a change at the start of the next transaction; its rows of the log are written at the end, with the others.

        Written earlier, they would lock the heads of two logs in an order in which two jobs could wait for each other.
        """
        self.defer(lambda tx: tx.log_rows.extend(change()))

    def log_deferred(self, event: str, message: str = "", **details: Unpack[LogDetails]) -> None:
        """Add a row about the job to the log with the next transaction."""
        self._log.defer(self._log.draft(event, message, **details))

    def log_call(self, draft: Draft) -> None:
        """Add the row of a call to the vault to the log with the next transaction."""
        self._log.defer(self._log.draft_of_call(draft))

    @contextmanager
    def calls_about(self, key: Key) -> Iterator[None]:
        """Name a key in the rows of the calls to the vault that are made meanwhile."""
        self._log.key = key
        try:
            yield
        finally:
            self._log.key = None

    def flush(self) -> None:
        """Do the deferred writes now, because the next transaction is some time away."""
        if self._deferred:
            with self.write():
                pass

    def flush_if_late(self) -> None:
        """Do the deferred writes now if a user would notice that the job's page is behind. Belongs before a call."""
        if time.monotonic() - self._written_at > NOTICED_SECONDS:
            self.flush()

    def _write_deferred(self, tx: RunTransaction) -> None:
        due = list(self._deferred)
        for write in due:
            write(tx)
        # Forgotten only when the transaction has committed, as the log's rows are.
        transaction.on_commit(lambda: self._deferred.__delitem__(slice(len(due))))

    # --- what it works on ------------------------------------------------------------------
    @contextmanager
    def working_on(self, group: KeyGroup) -> Iterator[bool]:
        """Work on one of the job's key groups: hold its Azure key, and name it in steps and log rows.

        Yields False when another job holds that Azure key.
        """
        before = self.job.azure_lock
        is_held = group.azure_lock == before or lifecycle.hold(self.claim, group.azure_lock, vault_id=group.vault_id)
        if is_held and group.azure_lock != before:
            self.job.azure_lock = group.azure_lock
            if (waiting := lifecycle.next_in_line(before)) is not None:
                hints.send_on_commit(waiting)
        if self.job.group_id is None:
            self._set_group(group, group.name)
        try:
            yield is_held
        finally:
            self._set_group(self.job.group, "")

    def _set_group(self, group: KeyGroup | None, part: str) -> None:
        self.group, self.part, self._log.group = group, part, group

    def pending_targets(self) -> list[JobTarget]:
        """Return the targets still to be worked on, in order.

        Raises:
            NotGenuine: the job was requested for another key.

        """
        targets = list(self.job.targets.filter(state=TargetState.PENDING).select_related("key"))
        for target in targets:
            self.check_target(target)
        return targets

    def check_target(self, target: JobTarget) -> None:
        """Check that the job was requested for a key, or that the worker added it.

        Raises:
            NotGenuine: neither.

        """
        if target.request_signature or target.key_id not in (self.requested_keys or ()):
            check_target(target)

    def disown(self) -> None:
        """Have log rows name the system from now on: who requested the job is not known."""
        self.actor = self._log.actor = SYSTEM

    def device(self) -> Device:
        """Return this worker's device, and note on the job which one it was.

        Raises:
            DeviceError: the device can't serve.

        """
        device = get_device()
        serial = device.identity().serial
        if self.job.device_serial != serial:
            self.defer(lambda _tx: Job.objects.filter(pk=self.job.pk).update(device_serial=serial))
            self.job.device_serial = serial
        return device

    def failpoint(self, moment: str) -> None:
        """Name a moment between two effects, at which the fault tests may interfere."""
        failpoint(f"{self.spec.failpoints}.{moment}")
