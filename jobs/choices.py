"""Choices of jobs, steps, intents and KEKs: stored value, label, colour. What kinds there are: ``jobs.spec``."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _


class JobState(models.TextChoices):
    """Where a job stands."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    PARTLY_FAILED = "partly_failed", _("Partly failed")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


# Waiting for a worker, or held by one.
OPEN_STATES = (JobState.QUEUED, JobState.RUNNING)
FAILED_STATES = (JobState.FAILED, JobState.PARTLY_FAILED)
FINAL_STATES = frozenset({JobState.SUCCEEDED, *FAILED_STATES, JobState.CANCELLED})
RETRYABLE_STATES = frozenset({*FAILED_STATES, JobState.CANCELLED})


class TargetState(models.TextChoices):
    """Where one key of a job stands."""

    PENDING = "pending", _("Pending")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    SKIPPED = "skipped", _("Skipped")


class StepState(models.TextChoices):
    """Where one step of a job stands."""

    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    SKIPPED = "skipped", _("Not needed")


class IntentOperation(StrEnum):
    """What a mutating call that is announced will do. Rows hold the values."""

    IMPORT = "import"
    # Enable or disable a version.
    SWITCH = "update"
    SET_TAGS = "set_tags"
    DELETE = "delete"
    RECOVER = "recover"
    PURGE = "purge"


class IntentState(models.TextChoices):
    """What is known of a mutating call that was announced before it was made."""

    PENDING = "pending", _("Under way")
    OK = "ok", _("Done")
    REFUSED = "refused", _("Refused")
    UNKNOWN = "unknown", _("Outcome unknown")
    ADOPTED = "adopted", _("Found done")
    VOID = "void", _("Never arrived")


class KekState(models.TextChoices):
    """Where an ephemeral key-encryption key stands."""

    PLANNED = "planned", _("Planned")
    LIVE = "live", _("In the vault")
    DELETED = "deleted", _("Deleted")
    GONE = "gone", _("Gone")


class CertificationState(models.TextChoices):
    """Where a self-certification stands. "Incomplete": what was tried went well, but not all could be."""

    RUNNING = "running", _("Running")
    PASSED = "passed", _("Passed")
    INCOMPLETE = "incomplete", _("Passed, not all proven")
    FAILED = "failed", _("Failed")


class CheckState(models.TextChoices):
    """Where one step of a self-certification stands."""

    PENDING = "pending", _("To do")
    RUNNING = "running", _("Running")
    DONE = "done", _("Passed")
    FAILED = "failed", _("Failed")
    SKIPPED = "skipped", _("Does not apply")
    UNPROVEN = "unproven", _("Not proven")


class HoldReason(models.TextChoices):
    """Why scheduled rotations wait."""

    CLOCK_BACK = "clock_back", _("The clock was set back")
    CLOCK_FORWARD = "clock_forward", _("The clock was set forward")
    LONG_SILENCE = "long_silence", _("The schedule was silent for long, on a machine that has restarted since")
    RESTORED = "restored", _("A backup was restored")


STATE_COLOURS: dict[str, str] = {
    "queued": "neutral",
    "running": "info",
    "succeeded": "good",
    "partly_failed": "warning",
    "failed": "bad",
    "cancelled": "neutral",
    "pending": "neutral",
    "done": "good",
    "skipped": "neutral",
    "passed": "good",
    "incomplete": "warning",
    "unproven": "warning",
}
