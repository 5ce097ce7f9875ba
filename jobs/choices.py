"""Choices of jobs, steps, intents and KEKs: stored value, label, colour. What kinds there are: ``jobs.spec``."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _


class JobState(models.TextChoices):
    """Where a job stands."""

    # No worker may take it until others have approved it.
    AWAITING = "awaiting", _("Awaiting approval")
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    # All that was asked for is done, and a step says what is left behind.
    WARNED = "warned", _("Succeeded with a warning")
    PARTLY_FAILED = "partly_failed", _("Partly failed")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Canceled")


# Waiting for a worker, or held by one.
OPEN_STATES = (JobState.QUEUED, JobState.RUNNING)
# Requested, and begun by no worker.
UNBEGUN_STATES = (JobState.AWAITING, JobState.QUEUED)
SUCCEEDED_STATES = (JobState.SUCCEEDED, JobState.WARNED)
FAILED_STATES = (JobState.FAILED, JobState.PARTLY_FAILED)
FINAL_STATES = frozenset({*SUCCEEDED_STATES, *FAILED_STATES, JobState.CANCELLED})
RETRYABLE_STATES = frozenset({*FAILED_STATES, JobState.CANCELLED})


class TargetState(models.TextChoices):
    """Where one key of a job stands."""

    PENDING = "pending", _("Pending")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    # The job ended before it came to this key.
    NOT_TRIED = "not_tried", _("Not tried")
    SKIPPED = "skipped", _("Skipped")


class StepState(models.TextChoices):
    """Where one step of a job stands."""

    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    # Done as far as the job is concerned; its detail says what is left.
    WARNED = "warned", _("Done, with a warning")
    FAILED = "failed", _("Failed")
    SKIPPED = "skipped", _("Not needed")


# Steps that are over and did not fail.
ENDED_STEP_STATES = (StepState.DONE, StepState.WARNED, StepState.SKIPPED)


class IntentOperation(StrEnum):
    """What a mutating call that is announced will do. Rows hold the values."""

    IMPORT = "import"
    # Enable or disable a version.
    SWITCH = "update"
    SET_TAGS = "set_tags"
    ROTATION_POLICY = "rotation_policy"
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
    # Nothing is left to do; the sweep has yet to read that the vault has it no more.
    DISCARDED = "discarded", _("Discarded, to be confirmed")
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
    "awaiting": "warning",
    "queued": "neutral",
    "running": "info",
    "succeeded": "good",
    "warned": "warning",
    "partly_failed": "warning",
    "failed": "bad",
    "cancelled": "neutral",
    "pending": "neutral",
    "done": "good",
    "not_tried": "neutral",
    "skipped": "neutral",
    "passed": "good",
    "incomplete": "warning",
    "unproven": "warning",
}
