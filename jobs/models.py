"""Rows of jobs and of what they announce before they act. State changes only in ``jobs.engine.lifecycle``."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse

from cloudcreds.models import CloudCredential, KeyVault
from jobs.choices import STATE_COLOURS, HoldReason, IntentState, JobState, KekState, StepState, TargetState
from jobs.titles import recorded_title_of, title_of
from keygroups.models import Key, KeyGroup
from kmes.accounts.scopes import Place, places_of
from kmes.core.clock import now
from kmes.core.ids import job_label, new_job_code, new_uuid
from logging_reports.choices import Severity


class Job(models.Model):
    """One piece of work; the truth about it. A broker message is only a hint to look here."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    code = models.CharField(max_length=12, unique=True, default=new_job_code, editable=False)
    # No choices: a worker of an older release reads rows of kinds that it doesn't know.
    kind = models.CharField(max_length=24)
    state = models.CharField(max_length=16, choices=JobState, default=JobState.QUEUED)
    group = models.ForeignKey(KeyGroup, null=True, on_delete=models.SET_NULL, related_name="jobs")
    credential = models.ForeignKey(CloudCredential, null=True, on_delete=models.SET_NULL, related_name="jobs")
    # The vault it reaches; of a job on several key groups, that of the group it works on, at first the first one's.
    vault = models.ForeignKey(KeyVault, null=True, on_delete=models.SET_NULL, related_name="jobs")
    # What the row spoke of, frozen: the job outlives the group.
    subject = models.CharField(max_length=160, blank=True)
    actor_name = models.CharField(max_length=150)
    trigger = models.CharField(max_length=16)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    # Ids and plain options only; never key material or secrets. Part of the request, so it never changes.
    params = models.JSONField(default=dict)
    # What runs of the job noted: that it waits for a grant, or a proof.
    run_notes = models.JSONField(default=dict)
    # Held while running: one running job per Azure key (or "" for jobs that touch none).
    azure_lock = models.CharField(max_length=420, blank=True)
    # A second request with the same key gets the first one's job. NULL, because several jobs may have none.
    idempotency_key = models.CharField(max_length=128, null=True, unique=True)  # noqa: DJ001
    # The process that asked for the job, and its signature (``jobs.engine.signatures``); empty in older releases.
    request_signer = models.CharField(max_length=16, blank=True)
    request_signature = models.BinaryField(default=bytes)
    device_serial = models.CharField(max_length=64, blank=True)
    retry_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="retries")
    # The job that was asked for together with this one and had to succeed first.
    follows = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="followers")
    # The job on many key groups that opened this one for one of them.
    part_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="parts")
    fence = models.PositiveIntegerField(default=0)
    # Tries that ended in a passing failure; claims after a crash or a wait don't count.
    failures = models.PositiveIntegerField(default=0)
    # Runs in a row that got nothing done and ended without a word: their worker died or stood still.
    lost_runs = models.PositiveIntegerField(default=0)
    lease_owner = models.CharField(max_length=128, blank=True)
    lease_until = models.DateTimeField(null=True)
    run_after = models.DateTimeField()
    waiting_for = models.CharField(max_length=200, blank=True)
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_requested_by = models.CharField(max_length=150, blank=True)
    # When it was requested; set before it is saved, because the signature covers it.
    created_at = models.DateTimeField(default=now, editable=False, db_index=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    error_what = models.TextField(blank=True)
    error_remedy = models.TextField(blank=True)
    error_code = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["run_after"], name="job_queued", condition=Q(state="queued")),
            models.Index(fields=["lease_until"], name="job_running", condition=Q(state="running")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["azure_lock"],
                condition=Q(state="running") & ~Q(azure_lock=""),
                name="one_running_job_per_azure_key",
            )
        ]

    def __str__(self) -> str:
        return job_label(self.code)

    def get_absolute_url(self) -> str:
        """Return the job's page."""
        return reverse("jobs:detail", args=[self.code])

    @property
    def state_colour(self) -> str:
        """Return the colour in which every page shows the job's state."""
        return STATE_COLOURS.get(self.shown_state, "neutral")

    @property
    def shown_state(self) -> str:
        """Return the state that pages show: a job on many key groups runs while its parts do."""
        is_waiting_for_parts = self.state == JobState.QUEUED and self.started_at and self.work_kind != self.kind
        return JobState.RUNNING if is_waiting_for_parts else self.state

    @property
    def shown_state_label(self) -> str:
        """Return the word for the state that pages show."""
        return str(JobState(self.shown_state).label)

    @property
    def work_kind(self) -> str:
        """Return the kind of its work: of a job on many key groups, that of its parts."""
        # A row that somebody changed in the database has to be shown, and refused, like any other.
        return str(self.params.get("each", self.kind)) if isinstance(self.params, dict) else self.kind

    @property
    def title(self) -> str:
        """Return the console's title of the job."""
        return title_of(self.work_kind)

    @property
    def places(self) -> tuple[Place, ...]:
        """Return where it acts: on its key group, those of its keys, and each that it opens a job for. Read anew."""
        named = self.params.get("group_ids") if isinstance(self.params, dict) else None
        ids = {str(each) for each in JobTarget.objects.filter(job=self).values_list("key__group", flat=True)}
        ids |= {str(each) for each in (self.group_id, *(named if isinstance(named, list) else ())) if each}
        groups = KeyGroup.objects.filter(pk__in=ids).select_related("vault")
        return places_of(groups) or (self.vault.places if self.vault is not None and self.group_id is None else ())

    @property
    def recorded_title(self) -> str:
        """Return the title as rows of the log say it."""
        return recorded_title_of(self.work_kind)


def about_group(group_id: UUID) -> Q:
    """Match the jobs on a key group: its own, and those on several groups with a key of it."""
    among_others = JobTarget.objects.filter(job=OuterRef("pk"), key__group=group_id)
    return Q(group_id=group_id) | Q(Exists(among_others), group__isnull=True)


class JobTarget(models.Model):
    """One key a job works on, and how it went."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="targets")
    key = models.ForeignKey(Key, on_delete=models.PROTECT, related_name="job_targets")
    ordinal = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=TargetState, default=TargetState.PENDING)
    detail = models.TextField(blank=True)
    # Of a key that a run added to the job; the others are covered by the job's signature.
    request_signature = models.BinaryField(default=bytes)

    class Meta:
        ordering = ["ordinal"]
        constraints = [models.UniqueConstraint(fields=["job", "key"], name="key_once_per_job")]

    def __str__(self) -> str:
        return f"{self.job} {self.key}"


class JobStep(models.Model):
    """One visible step of a job; a step done again after a crash keeps its row."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="steps")
    name = models.CharField(max_length=48)
    # The key group's name where a step is done once per group, else "".
    subject = models.CharField(max_length=160, blank=True)
    ordinal = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=StepState, default=StepState.RUNNING)
    detail = models.TextField(blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["ordinal"]
        constraints = [models.UniqueConstraint(fields=["job", "name", "subject"], name="step_once_per_job")]

    def __str__(self) -> str:
        return f"{self.job} {self.name}"


class JobMessage(models.Model):
    """One line of a job's log, as the console shows it."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="messages")
    at = models.DateTimeField()
    severity = models.CharField(max_length=16, choices=Severity, default=Severity.INFO)
    text = models.TextField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text


class Intent(models.Model):
    """A mutating Azure call announced before it is made; pending or unknown ones bar a blind repeat."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="intents")
    fence = models.PositiveIntegerField()
    operation = models.CharField(max_length=24)
    azure_lock = models.CharField(max_length=420, db_index=True)
    key = models.ForeignKey(Key, null=True, on_delete=models.PROTECT, related_name="intents")
    thumbprint = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=16, choices=IntentState, default=IntentState.PENDING)
    sent_at = models.DateTimeField()
    # The same moment by the sender's uptime, which nobody can set: the quarantine is counted by it.
    sent_boot_id = models.CharField(max_length=64, blank=True)
    sent_uptime = models.FloatField(default=0.0)
    resolved_at = models.DateTimeField(null=True)
    kid = models.CharField(max_length=512, blank=True)

    class Meta:
        ordering = ["sent_at"]

    def __str__(self) -> str:
        return f"{self.operation} {self.azure_lock}"


class EphemeralKek(models.Model):
    """The ledger of KEKs: written before the vault makes one, closed when the vault no longer has it."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="keks")
    vault = models.ForeignKey(KeyVault, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=127)
    kid = models.CharField(max_length=512, blank=True)
    modulus_bits = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=KekState, default=KekState.PLANNED)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    note = models.TextField(blank=True)
    sweep_attempts = models.PositiveIntegerField(default=0)
    # Before this moment the sweep leaves it alone; NULL: the next sweep takes it.
    next_sweep_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [models.UniqueConstraint(fields=["vault", "name"], name="kek_name_once_per_vault")]

    def __str__(self) -> str:
        return self.name


class ScheduleClock(models.Model):
    """When the schedule last looked at the clock, and whether it holds scheduled rotations. One row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    last_tick_at = models.DateTimeField(null=True)
    held_since = models.DateTimeField(null=True)
    held_reason = models.CharField(max_length=24, choices=HoldReason, blank=True)
    # Since when every look found the clock going as it should.
    steady_since = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_schedule_clock")]

    def __str__(self) -> str:
        return self.get_held_reason_display() or "steady"


class ClockWitness(models.Model):
    """What one machine's clock and its uptime said at the same moment; uptime can't be set by anybody."""

    boot_id = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField()
    uptime_seconds = models.FloatField()

    def __str__(self) -> str:
        return self.boot_id


from jobs.approvals.models import ApprovalDecision, ApprovalPolicy, ApprovalRequest  # noqa: E402, F401 - it points to Job by name
from jobs.certifications.models import Certification, CertificationStep  # noqa: E402, F401 - they point to Job by name
