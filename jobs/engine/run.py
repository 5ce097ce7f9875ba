"""What a runner works with: its job, the claim, steps, messages, the log, and the way to Azure.

Every write goes through ``write()``: one transaction that commits only while the claim holds and
that carries the log rows of the calls made since the last one. No transaction is ever open while
the device or Azure is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from cloudcreds.access import open_gateway
from cloudcreds.models import KeyVault
from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.recorder import LogRecorder
from cloudcreds.provider.send_deadline import SendBy
from hsm.device import Device, get_device
from jobs.choices import JobState, StepState, TargetState
from jobs.engine import hints, lifecycle, rate_limit, shutdown
from jobs.engine.creation import subject_of
from jobs.models import Job, JobMessage, JobStep, JobTarget
from jobs.spec import registry
from keygroups.models import Key, KeyGroup
from kmes.core.actor import Actor, Trigger
from kmes.core.clock import now
from kmes.core.errors import KmesError
from kmes.core.failpoints import failpoint
from logging_reports.choices import Severity
from logging_reports.services import Draft, Subject, record_many


class Cancelled(KmesError):
    """The user asked to stop, and this is a safe point."""

    code = "cancelled"


class WaitUntil(KmesError):
    """The job goes back into the queue for a while; ``what`` says what it waits for."""

    code = "waiting"

    def __init__(self, what: str, *, seconds: float, counts_as_failure: bool = False) -> None:
        super().__init__(what, retryable=True)
        self.seconds = max(0.0, seconds)
        self.counts_as_failure = counts_as_failure


class GiveWay(WaitUntil):
    """Other jobs wait for this worker: the whole job queues up behind them."""


class AnnouncedCall(Protocol):
    """A changing call that stands in the ledger before it is made."""

    send_by: SendBy

    def renew(self) -> None:
        """Announce it anew from now on. Called inside ``write()``."""


class JobRun:
    """One run of one job under one claim."""

    def __init__(self, job: Job, held: lifecycle.Claim) -> None:
        self.job = job
        self.held = held
        self.spec = registry[job.kind]
        self.actor = Actor(job.actor_name, Trigger(job.trigger), job.requested_by_id)
        self._rows: list[Draft] = []
        self._later: list[Callable[[], object]] = []
        self._gateways: dict[object, VaultGateway] = {}
        # The key group the run is at; a job on several turns from one to the next.
        self._group = job.group
        self._part = ""
        # Steps that stand in the database, by name and part.
        self._shown = set(job.steps.values_list("name", "subject"))
        self._ordinal = len(self._shown)
        self._begun = time.monotonic()
        # Until when a changing call may leave: the claim was held a moment ago.
        self._send_by = SendBy.within(settings.KMES_SEND_SECONDS)
        # The announced call that is being made, which has a moment of its own.
        self.announced_call: AnnouncedCall | None = None
        # Whether stopping on request is still safe and useful; cleaning up switches it off.
        self.may_cancel = True

    # --- groups ----------------------------------------------------------------------------
    @contextmanager
    def on(self, group: KeyGroup) -> Iterator[bool]:
        """Work on one of the job's key groups: hold its Azure key, and speak of it in steps and log rows.

        Yields False when another job holds that Azure key.
        """
        before = self.job.azure_lock
        is_held = group.azure_lock == before or lifecycle.hold(self.held, group.azure_lock)
        if is_held and group.azure_lock != before:
            self.job.azure_lock = group.azure_lock
            if (waiting := lifecycle.next_in_line(before)) is not None:
                hints.send_on_commit(waiting)
        if self.job.group_id is None:
            self._group, self._part = group, group.name
        try:
            yield is_held
        finally:
            self._group, self._part = self.job.group, ""

    # --- writing ---------------------------------------------------------------------------
    @contextmanager
    def write(self) -> Iterator[None]:
        """Open the one kind of transaction a runner writes in.

        Raises:
            LeaseLost: another worker has the job; nothing is written.

        """
        send_by = SendBy.within(settings.KMES_SEND_SECONDS)
        with lifecycle.fenced(self.held):
            self._catch_up()
            yield
            # Last, so that the head of the log's chain is locked as briefly as possible.
            self._flush()
        self._send_by = send_by

    def later(self, write: Callable[[], object]) -> None:
        """Write something with the next transaction, which comes at once or ends the job.

        Rows of the log go by ``log``: they must be the last that a transaction writes.
        """
        self._later.append(write)

    def show_now(self) -> None:
        """Write what waits for the next transaction, because it is long in coming: the job's page shows what it is at."""
        if self._later:
            with self.write():
                pass

    def _catch_up(self) -> None:
        owed = list(self._later)
        for write in owed:
            write()
        # Forgotten only when the transaction stands, as with the log's rows.
        transaction.on_commit(lambda: self._later.__delitem__(slice(len(owed))))

    def _flush(self) -> None:
        if self._rows:
            record_many(self._rows)
            # Emptied only when the transaction stands, else the rows would be lost with it.
            transaction.on_commit(self._rows.clear)

    def log(
        self,
        event: str,
        message: str = "",
        *,
        key: Key | None = None,
        version: str = "",
        vault: str = "",
        severity: Severity | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        """Queue a log row about this job for the next write."""
        subject = subject_of(self.job, key, version, group=self._group)
        if vault:
            subject = Subject(**{**subject.__dict__, "vault": vault})
        self._rows.append(
            Draft(
                event=event,
                actor=self.actor,
                message=message,
                subject=subject,
                severity=severity,
                job_id=self.job.pk,
                job_code=self.job.code,
                data=data,
            )
        )

    def log_call(self, draft: Draft) -> None:
        """Queue the row of a call to Azure for the next write."""
        self._rows.append(draft)

    def say(self, text: str, severity: Severity = Severity.INFO) -> None:
        """Add a line to the job's log. Call it inside ``write()``."""
        self.say_all([text], severity)

    def say_all(self, lines: Sequence[str], severity: Severity = Severity.INFO) -> None:
        """Add several lines to the job's log. Call it inside ``write()``."""
        JobMessage.objects.bulk_create(
            JobMessage(job=self.job, at=now(), severity=severity, text=line) for line in lines
        )

    # --- steps -----------------------------------------------------------------------------
    def begin(self, name: str, detail: str = "") -> None:
        """Show a step as running; one done before a crash keeps its row. Call inside ``write()``."""
        self._show(name, self._part, StepState.RUNNING, now(), detail)

    def begin_with_next(self, name: str, detail: str = "") -> None:
        """Show a step as running with the next write, for one whose first deed is a write, or that is over at once."""
        part, moment = self._part, now()
        self.later(lambda: self._show(name, part, StepState.RUNNING, moment, detail))

    def end(self, name: str, detail: str = "") -> None:
        """Call a step over. The page shows it with the next write; one that never began had nothing to wait for."""
        part, moment = self._part, now()
        self.later(lambda: self._show(name, part, StepState.DONE, moment, detail[:2000]))

    def _show(self, name: str, part: str, state: StepState, moment: datetime, detail: str) -> None:
        finished_at = moment if state == StepState.DONE else None
        steps = JobStep.objects.filter(job=self.job, name=name, subject=part)
        # A row that was rolled back is made anew.
        if (name, part) not in self._shown or not steps.update(state=state, finished_at=finished_at, detail=detail):
            self._shown.add((name, part))
            self._ordinal += 1
            JobStep.objects.create(
                job=self.job,
                name=name,
                subject=part,
                ordinal=self._ordinal,
                state=state,
                started_at=moment,
                finished_at=finished_at,
                detail=detail,
            )

    @contextmanager
    def step(self, name: str, detail: str = "", *, with_next: bool = False) -> Iterator[None]:
        """Run the body as one visible step, at whose start the job may be cancelled.

        ``with_next`` shows it with the body's first write instead of with one of its own.
        """
        self.checkpoint()
        if with_next:
            self.begin_with_next(name, detail)
        else:
            with self.write():
                self.begin(name, detail)
        self.reach(f"before_{name}")
        yield
        self.reach(f"after_{name}")
        self.end(name, detail)

    def show_progress(self, name: str, detail: str) -> None:
        """Show how far a running step is. Call inside ``write()``."""
        steps = JobStep.objects.filter(job=self.job, name=name, subject=self._part, state=StepState.RUNNING)
        steps.update(detail=detail)

    def reach(self, moment: str) -> None:
        """Name a moment between two effects, for the fault tests."""
        failpoint(f"{self.spec.failpoints}.{moment}")

    def fail_running_steps(self, why: str) -> None:
        """Show the steps that were under way as failed. Call inside ``write()``."""
        JobStep.objects.filter(job=self.job, state=StepState.RUNNING).update(
            state=StepState.FAILED, finished_at=now(), detail=why[:2000]
        )

    # --- targets ---------------------------------------------------------------------------
    def pending_targets(self) -> list[JobTarget]:
        """Return the targets still to be worked on, in order."""
        return list(self.job.targets.filter(state=TargetState.PENDING).select_related("key"))

    def settle(self, target: JobTarget, state: TargetState, detail: str = "") -> None:
        """Record how one key went. Call inside ``write()``."""
        self.settle_all([(target, detail)], state)

    def settle_all(self, targets: Sequence[tuple[JobTarget, str]], state: TargetState) -> None:
        """Record that some keys, each with its detail, went alike. Call inside ``write()``."""
        for target, detail in targets:
            target.state, target.detail = state, detail
        JobTarget.objects.filter(pk__in=[target.pk for target, _detail in targets]).update(state=state)
        JobTarget.objects.bulk_update([target for target, _detail in targets], ["detail"])
        if self.job.lost_runs:
            lifecycle.note_progress(self.held)
            self.job.lost_runs = 0

    # --- stopping --------------------------------------------------------------------------
    def checkpoint(self) -> None:
        """Stop here if somebody asked to.

        Raises:
            Cancelled: the user asked to cancel the job.

        """
        if not self.may_cancel:
            return
        asked = Job.objects.filter(pk=self.job.pk).values_list("cancel_requested_at", "cancel_requested_by").get()
        if asked[0] is not None:
            self.may_cancel = False
            raise Cancelled(_("Cancelled by %(name)s.") % {"name": asked[1]})

    def is_stopping(self) -> bool:
        """Return whether waiting for Azure should end now (cancel asked, or the lease lost)."""
        fresh = Job.objects.filter(pk=self.job.pk, fence=self.held.fence, state=JobState.RUNNING)
        asked = fresh.values_list("cancel_requested_at", flat=True).first()
        return not fresh.exists() or (self.may_cancel and asked is not None)

    # --- pace ------------------------------------------------------------------------------
    def keep_pace(self, vault: KeyVault) -> None:
        """Wait for this job's place in the vault's pace of HSM changes.

        Raises:
            Cancelled: the user asked to cancel meanwhile.

        """
        left = rate_limit.reserve(vault)
        if left > 0:
            self.show_now()
        while left > 0 and not self.is_stopping():
            time.sleep(min(1.0, left))
            left -= 1.0
        self.checkpoint()

    def let_others(self) -> None:
        """Give the worker away after a while when other jobs wait for one, and at once when it is to stop.

        Raises:
            GiveWay: this job queues up behind the others.

        """
        if shutdown.requested():
            raise GiveWay(_("another worker: this one stops"), seconds=0)
        if time.monotonic() - self._begun < settings.KMES_TURN_SECONDS:
            return
        waiting = Job.objects.filter(state=JobState.QUEUED, run_after__lte=now(), waiting_for="")
        if self.job.azure_lock:
            waiting = waiting.exclude(azure_lock=self.job.azure_lock)
        if waiting.exists():
            raise GiveWay(_("its next turn: other jobs go first"), seconds=0)
        self._begun = time.monotonic()

    # --- the device ------------------------------------------------------------------------
    def device(self) -> Device:
        """Return this worker's device, and note on the job which one it was.

        Raises:
            DeviceError: the device can't serve.

        """
        device = get_device()
        serial = device.identity().serial
        if self.job.device_serial != serial:
            self.later(lambda: Job.objects.filter(pk=self.job.pk).update(device_serial=serial))
            self.job.device_serial = serial
        return device

    # --- Azure -----------------------------------------------------------------------------
    def _on_wait(self, seconds: float, reason: str) -> None:
        with self.write():
            self.say(_("Waiting %(seconds)d s: %(reason)s") % {"seconds": round(seconds), "reason": reason})

    def before_send(self) -> SendBy:
        """Return until when the changing call that is about to be made may leave this process.

        What is left of an announcement, or of the last proof of the claim, is enough for a call made at
        once. After a pause the claim is proved and the announcement renewed first.

        Raises:
            LeaseLost: another worker has the job; the call must not be made.

        """
        call = self.announced_call
        send_by = call.send_by if call else self._send_by
        if send_by.seconds_left() < settings.KMES_SEND_SECONDS / 2:
            with self.write():
                if call:
                    call.renew()
            send_by = call.send_by if call else self._send_by
        return send_by

    def _recorder(self) -> LogRecorder:
        """Return a recorder whose rows go out with this run's writes."""
        return LogRecorder(
            actor=self.actor,
            subject=subject_of(self.job, group=self._group),
            job_id=self.job.pk,
            job_code=self.job.code,
            sink=self.log_call,
        )

    def gateway(self, vault: KeyVault | None) -> VaultGateway:
        """Open the way to a vault with the job's credential; its secret is opened in the device.

        Raises:
            DeviceError: the device can't open the secret.

        """
        slot = (vault.pk if vault else None, self._group.pk if self._group else None)
        if slot not in self._gateways:
            credential = vault.credential if vault else self.job.credential
            if credential is None:
                raise KmesError(_("The job's cloud credential no longer exists."), _("Choose another credential."))
            self._gateways[slot] = open_gateway(
                credential,
                vault.url if vault else "",
                recorder=self._recorder(),
                backoff=Backoff(
                    should_stop=self.is_stopping,
                    on_wait=self._on_wait,
                    sleep=time.sleep,
                    before_send=self.before_send,
                ),
            )
        return self._gateways[slot]
