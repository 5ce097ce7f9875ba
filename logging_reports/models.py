"""Tables of the append-only log, its checkpoints, saved filters and background exports.

A log row has no foreign keys: it keeps ids and the labels of that moment, because it outlives the
objects it refers to. ``services`` writes log rows, ``checkpoints`` writes checkpoints; neither change.
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Upper
from django.utils.translation import gettext_lazy as _

from kmes.core.ids import new_uuid
from logging_reports.anchors import Anchor
from logging_reports.chain import CURRENT_FORMAT
from logging_reports.choices import Category, ExportFormat, ExportState, Service, Severity
from logging_reports.forwarding.models import ForwardingDestination, ForwardingPosition
from logging_reports.notices.models import Channel, Delivery, Notice, NoticeRead, Reminder


class ImmutableLogError(TypeError):
    """Code tried to change or delete a written row: a programming error."""


_Row = TypeVar("_Row", bound=models.Model)


class InsertOnlyQuerySet(models.QuerySet[_Row]):
    """A read-only queryset. Triggers in the database enforce the same."""

    def update(self, **_values: Any) -> NoReturn:
        """Refuse: written rows never change."""
        raise ImmutableLogError("log rows can't be changed")

    def delete(self) -> NoReturn:
        """Refuse: written rows are never deleted."""
        raise ImmutableLogError("log rows can't be deleted")


# In the data of a row: who was signed in besides the actor.
SECOND_ADMINISTRATOR = "second_administrator"


class LogEntryQuerySet(InsertOnlyQuerySet["LogEntry"]):
    """A read-only queryset of log rows."""


class InsertOnlyModel(models.Model):
    """A row that is written once and never changed or deleted."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the row.

        Raises:
            ImmutableLogError: the row was saved before.

        """
        if not self._state.adding:
            raise ImmutableLogError("log rows can't be changed")
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse: written rows are never deleted."""
        raise ImmutableLogError("log rows can't be deleted")


class LogEntry(InsertOnlyModel):
    """One event in one of the logs, linked to the row before it by its hash (``chain``)."""

    service = models.CharField(_("service"), max_length=16, choices=Service.choices)
    sequence = models.BigIntegerField(_("sequence"))
    at = models.DateTimeField(_("time"))
    category = models.CharField(_("category"), max_length=32, choices=Category.choices)
    severity = models.CharField(_("severity"), max_length=16, choices=Severity.choices)
    event = models.CharField(_("event"), max_length=64)

    actor_name = models.CharField(_("actor"), max_length=255, blank=True)
    actor_trigger = models.CharField(_("trigger"), max_length=16, blank=True)
    actor_user_id = models.BigIntegerField(_("user id"), null=True)

    credential_id = models.CharField(_("credential id"), max_length=64, blank=True)
    credential = models.CharField(_("credential"), max_length=255, blank=True)
    vault = models.CharField(_("vault"), max_length=255, blank=True)
    group_id = models.CharField(_("key group id"), max_length=64, blank=True)
    group = models.CharField(_("key group"), max_length=255, blank=True)
    key_id = models.CharField(_("key id"), max_length=64, blank=True)
    key = models.CharField(_("key"), max_length=255, blank=True)
    version = models.CharField(_("version"), max_length=64, blank=True)

    job_id = models.UUIDField(_("job id"), null=True)
    job_code = models.CharField(_("job"), max_length=16, blank=True)
    # The column keeps its former name: during an upgrade the former release still writes to it.
    provider_request_id = models.CharField(
        _("Azure request id"), max_length=128, blank=True, db_column="azure_request_id"
    )
    http_status = models.IntegerField(_("HTTP status"), null=True)
    duration_ms = models.BigIntegerField(_("duration (ms)"), null=True)
    message = models.TextField(_("message"), blank=True)
    data = models.JSONField(_("data"), default=dict, blank=True)
    truncated = models.BooleanField(_("truncated"), default=False)

    # The database default is the format of releases that don't know this column.
    chain_format = models.SmallIntegerField(_("chain format"), default=CURRENT_FORMAT, db_default=1)
    previous_hash = models.CharField(_("previous hash"), max_length=64)
    hash = models.CharField(_("hash"), max_length=64)

    objects = LogEntryQuerySet.as_manager()

    class Meta:
        """Each filter of the page has an index that ends with the page's order."""

        constraints = [models.UniqueConstraint(fields=["service", "sequence"], name="log_entry_position")]
        indexes = [
            models.Index(fields=["service", "at"], name="log_entry_time"),
            models.Index(fields=["service", "category", "sequence"], name="log_entry_category"),
            models.Index(fields=["service", "severity", "sequence"], name="log_entry_severity"),
            models.Index(fields=["service", "event", "sequence"], name="log_entry_event"),
            # Names are compared without case.
            models.Index("service", Upper("actor_name"), "sequence", name="log_entry_actor_any_case"),
            models.Index("service", Upper("key"), "sequence", name="log_entry_key_any_case"),
            models.Index("service", Upper("group"), "sequence", name="log_entry_group_any_case"),
            # Not partial: SQLite can't use a partial index for a query with parameters.
            models.Index(fields=["service", "job_code", "sequence"], name="log_entry_job"),
            models.Index(fields=["service", "job_id", "sequence"], name="log_entry_job_id"),
            models.Index(fields=["service", "key_id", "sequence"], name="log_entry_key"),
            models.Index(fields=["service", "group_id", "sequence"], name="log_entry_group"),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.sequence} {self.event}"

    @property
    def second_administrator(self) -> str:
        """Return the name of the second administrator who was signed in besides the actor, "" if none was."""
        found = self.data.get(SECOND_ADMINISTRATOR, "") if isinstance(self.data, dict) else ""
        return found if isinstance(found, str) else ""


class LogHead(models.Model):
    """The end of each chain. Writers lock its row, so they append one after another."""

    service = models.CharField(_("service"), max_length=16, primary_key=True, choices=Service.choices)
    sequence = models.BigIntegerField(_("sequence"), default=0)
    hash = models.CharField(_("hash"), max_length=64)

    def __str__(self) -> str:
        return f"{self.service} {self.sequence}"


class LogCheckpoint(InsertOnlyModel):
    """A signed statement of where each log ended (``anchors``). It names the checkpoint before it."""

    number = models.BigIntegerField(_("number"), primary_key=True)
    at = models.DateTimeField(_("time"))
    text = models.TextField(_("text"))
    signature = models.BinaryField(_("signature"))
    public_key = models.BinaryField(_("public key"))
    hash = models.CharField(_("hash"), max_length=64)

    objects = InsertOnlyQuerySet["LogCheckpoint"].as_manager()

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"checkpoint {self.number}"

    @property
    def anchor(self) -> Anchor:
        """Return the checkpoint in the form that can be kept and verified elsewhere."""
        return Anchor(self.text, bytes(self.signature), bytes(self.public_key))


class CheckpointTimeStamp(InsertOnlyModel):
    """An authority's time stamp over the anchor file of a checkpoint (``time_stamps``). At most one for each."""

    # The checkpoint's number.
    number = models.BigIntegerField(_("number"), primary_key=True)
    # The time that the authority names.
    at = models.DateTimeField(_("time"))
    authority = models.CharField(_("authority"), max_length=255)
    policy = models.CharField(_("policy"), max_length=128)
    # TimeStampResp of RFC 3161 as it was sent, DER.
    response = models.BinaryField(_("time stamp"))
    received_at = models.DateTimeField()

    objects = InsertOnlyQuerySet["CheckpointTimeStamp"].as_manager()

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"time stamp of checkpoint {self.number}"


class TimeStampOutage(models.Model):
    """How many tries to get a time stamp failed in a row, why, and when the next one is due. One row."""

    failures = models.IntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=255, blank=True)
    next_try_at = models.DateTimeField()
    is_reported = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.last_error


class LogExport(models.Model):
    """A background export of filtered rows. Only ``export_lifecycle`` changes its state."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    service = models.CharField(_("log"), max_length=16, choices=Service.choices)
    format = models.CharField(_("format"), max_length=8, choices=ExportFormat.choices)
    # The filter as plain text (``selectors.LogFilter.describe``).
    wanted = models.JSONField(default=dict)
    # The filter as a query string, for the link to the same rows.
    query = models.TextField(blank=True)
    # The newest row at the time of the request; later rows are left out.
    up_to = models.BigIntegerField()
    requested_by = models.CharField(_("asked for by"), max_length=255)
    requested_by_id = models.BigIntegerField(null=True)
    trigger = models.CharField(max_length=16)
    state = models.CharField(_("state"), max_length=16, choices=ExportState.choices, default=ExportState.QUEUED)
    rows_total = models.BigIntegerField(null=True)
    rows_done = models.BigIntegerField(default=0)
    file_name = models.CharField(_("file"), max_length=96, blank=True)
    size = models.BigIntegerField(_("size"), default=0)
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    error_what = models.TextField(blank=True)
    error_remedy = models.TextField(blank=True)
    cancel_requested_by = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    # The last progress update of the worker.
    seen_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["-created_at"], name="log_export_newest"),
            models.Index(fields=["state"], name="log_export_open", condition=Q(state__in=["queued", "running"])),
        ]

    def __str__(self) -> str:
        return self.file_name or str(self.pk)

    @property
    def is_open(self) -> bool:
        """Whether the export is queued or running."""
        return self.state in {ExportState.QUEUED, ExportState.RUNNING}


class SavedFilter(models.Model):
    """A named filter of System Logs, private to its owner or shared with all who may read the log."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    name = models.CharField(_("name"), max_length=80)
    query = models.TextField(_("filter"))
    owner_id = models.BigIntegerField()
    owner_name = models.CharField(_("owner"), max_length=255)
    is_shared = models.BooleanField(_("shared"), default=False)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                "owner_id",
                Lower("name"),
                name="saved_filter_once_per_owner",
                violation_error_message=_("You have a filter of this name already."),
            )
        ]
        indexes = [models.Index(fields=["is_shared", "name"], name="saved_filter_shared")]

    def __str__(self) -> str:
        return self.name


# Django looks for an app's models here; those of notices and forwarding are defined in their own packages.
__all__ = [
    "Channel",
    "CheckpointTimeStamp",
    "Delivery",
    "ForwardingDestination",
    "ForwardingPosition",
    "LogCheckpoint",
    "LogEntry",
    "LogExport",
    "LogHead",
    "Notice",
    "NoticeRead",
    "Reminder",
    "SavedFilter",
    "TimeStampOutage",
]
