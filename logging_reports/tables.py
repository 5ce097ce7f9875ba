"""Tables of the log, of background exports and of checkpoints. ``selectors`` pages the log by sequence."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import django_tables2 as tables
from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from kmes.core.ids import job_label
from kmes.ui.tables import ConsoleTable, ExactTimeColumn, worth
from kmes.ui.templatetags.kmes_ui import badge, cut, exactly, icon
from logging_reports.anchors import Statement
from logging_reports.choices import SEVERITY_COLOURS
from logging_reports.events import EVENTS
from logging_reports.export_progress import ExportView
from logging_reports.models import CheckpointTimeStamp, LogCheckpoint, LogEntry, LogExport
from logging_reports.safe_text import visible

_NOWRAP = {"td": {"class": "text-nowrap"}}
_WIDE_ONLY = {"td": {"class": "text-nowrap wide-only"}, "th": {"class": "wide-only"}}
_BREAKS = {"td": {"class": "text-break"}}
_LOG_NUMBER = {"td": {"class": "log-number"}, "th": {"class": "log-number"}}


class LogTable(ConsoleTable):
    """One page of a log. ``query`` is the filter that the links to rows carry."""

    caption = gettext_lazy("Log rows")
    saved_as = "logs"
    has_views = False  # The log has saved filters.
    # A row's page shows what doesn't fit.
    drops_columns = True
    essential = ("at", "message")
    query = ""
    at = tables.Column(verbose_name=gettext_lazy("Time (UTC)"), attrs=_NOWRAP)
    severity = tables.Column(verbose_name=gettext_lazy("Severity"), attrs=_NOWRAP)
    category = tables.Column(verbose_name=gettext_lazy("Category"), attrs=_WIDE_ONLY)
    event = tables.Column(verbose_name=gettext_lazy("Event"), attrs={"td": {"class": "log-name"}})
    message = tables.Column(verbose_name=gettext_lazy("Message"), attrs={"td": {"class": "log-message"}})
    actor_name = tables.Column(verbose_name=gettext_lazy("Actor"), attrs=_NOWRAP)
    key = tables.Column(verbose_name=gettext_lazy("Key"), empty_values=(), attrs={"td": {"class": "log-name"}})
    job_code = tables.Column(verbose_name=gettext_lazy("Job"), attrs=_NOWRAP, default="")
    http_status = tables.Column(verbose_name=gettext_lazy("HTTP"), attrs=_LOG_NUMBER, default="", localize=False)
    duration_ms = tables.Column(verbose_name=gettext_lazy("ms"), attrs=_LOG_NUMBER, default="", localize=False)

    class Meta(ConsoleTable.Meta):
        attrs = {"class": "table table-hover console-table log-table"}
        # Keyset paging needs the order of the sequence.
        orderable = False
        row_attrs = {
            "id": lambda record: f"row-{record.sequence}",
            "data-open": lambda record, table: table.address_of(record),
            "data-whole": True,
            "tabindex": "-1",
        }

    def address_of(self, record: LogEntry) -> str:
        """Return the address of a row's page, with the filter."""
        return f"{reverse('logs:detail', args=[record.service, record.sequence])}?{self.query}"

    def render_at(self, record: LogEntry) -> SafeString:
        """Show the time, linked to the row."""
        return format_html('<a href="{}">{}</a>', self.address_of(record), exactly(record.at))

    def render_severity(self, record: LogEntry) -> SafeString:
        """Show the severity as a badge."""
        return badge(record.get_severity_display(), SEVERITY_COLOURS.get(record.severity, "info"))

    def render_event(self, value: str) -> str:
        """Show the event's label."""
        return str(EVENTS[value].label) if value in EVENTS else value

    def render_message(self, value: str) -> str:
        """Show the message with hidden characters written out; a narrow row cuts it (rows.js)."""
        return visible(value)

    def render_actor_name(self, value: str, record: LogEntry) -> str:
        """Show the name, and that of the second administrator, with hidden characters written out."""
        if second := record.second_administrator:
            return _("%(name)s with %(second)s") % {"name": visible(value), "second": visible(second)}
        return visible(value)

    def render_key(self, record: LogEntry) -> str:
        """Link to the rows of this key, or of its group where there is no key."""
        if record.key_id:
            return _only(record, "key", record.key_id, record.key, _("Only this key"))
        if record.group_id:
            return _only(record, "group", record.group_id, record.group, _("Only this key group"))
        return visible(record.key or record.group)

    def render_job_code(self, record: LogEntry) -> SafeString:
        """Link to the rows of this job."""
        return _only(record, "job", record.job_code, job_label(record.job_code), _("Only this job"))


def _only(record: LogEntry, name: str, wanted: object, label: str, title: str) -> SafeString:
    address = f"{reverse('logs:list')}?{urlencode({'service': record.service, name: str(wanted)})}"
    return format_html('<a href="{}" title="{}">{}</a>', address, f"{title}: {visible(label)}", visible(label))


def _shown(record: LogExport, table: ExportTable) -> dict[str, ExportView]:
    return {"export": table.views[record.pk]}


def _part(name: str, label: object, **options: Any) -> tables.TemplateColumn:
    """Return a column that shows a part of an export with its own template."""
    template = f"logging_reports/_export_{name}.html"
    return tables.TemplateColumn(template_name=template, extra_context=_shown, verbose_name=label, **options)


class ExportTable(ConsoleTable):
    """The background exports of all users, newest first. ``views`` holds the view of each row by id."""

    caption = gettext_lazy("Prepared exports")
    saved_as = "exports"
    essential = ("created_at", "do")
    counted = ngettext_lazy("%(count)d export", "%(count)d exports", "count")
    views: dict[UUID, ExportView]
    created_at = ExactTimeColumn(verbose_name=gettext_lazy("Asked for (UTC)"))
    state = _part("state", gettext_lazy("State"))
    rows_done = _part("rows", gettext_lazy("Rows"), attrs=_NOWRAP)
    service = tables.Column(verbose_name=gettext_lazy("What"), order_by=("service", "format"))
    size = _part("file", gettext_lazy("File"), attrs=_BREAKS)
    requested_by = tables.Column(verbose_name=gettext_lazy("By"))
    do = _part("do", gettext_lazy("Actions"), orderable=False)

    class Meta(ConsoleTable.Meta):
        row_attrs = {"id": lambda record: f"export-{record.pk}"}

    def render_service(self, record: LogExport) -> SafeString:
        """Link to the exported rows."""
        address, log = f"{reverse('logs:list')}?{record.query}", record.get_service_display()
        return format_html('<a href="{}">{}</a>, {}', address, log, record.get_format_display())

    def render_requested_by(self, value: str) -> str:
        """Show the name with hidden characters written out."""
        return visible(value)


class CheckpointTable(ConsoleTable):
    """The checkpoints, newest first. ``statements`` holds what each says by number; None is invalid.

    ``time_stamps`` holds those that there are, by number.
    """

    caption = gettext_lazy("Checkpoints")
    saved_as = "checkpoints"
    # The anchor holds what doesn't fit.
    drops_columns = True
    dropped_note = gettext_lazy("In the anchor:")
    essential = ("number", "state")
    counted = ngettext_lazy("%(count)d checkpoint", "%(count)d checkpoints", "count")
    statements: dict[int, Statement | None]
    time_stamps: dict[int, CheckpointTimeStamp]
    number = tables.Column(verbose_name=gettext_lazy("Number"))
    at = ExactTimeColumn(verbose_name=gettext_lazy("Time (UTC)"))
    state = tables.Column(verbose_name=gettext_lazy("State"), empty_values=(), orderable=False, attrs=_NOWRAP)
    covered = tables.Column(verbose_name=gettext_lazy("Rows covered"), empty_values=(), orderable=False, attrs=worth(2))
    hash = tables.Column(verbose_name=gettext_lazy("Hash"), orderable=False)
    key = tables.Column(verbose_name=gettext_lazy("Key"), empty_values=(), orderable=False)
    time_stamp = tables.Column(
        verbose_name=gettext_lazy("Time stamp (UTC)"), empty_values=(), orderable=False, attrs=worth(1)
    )
    anchor = tables.Column(verbose_name=gettext_lazy("Anchor"), empty_values=(), orderable=False, attrs=worth(3))

    class Meta(ConsoleTable.Meta):
        row_attrs = {"id": lambda record: f"checkpoint-{record.number}"}

    def render_state(self, record: LogCheckpoint) -> SafeString:
        """Show whether the signature is valid."""
        return badge(_("Valid"), "good") if self.statements[record.number] else badge(_("Not valid"), "bad")

    def render_covered(self, record: LogCheckpoint) -> str:
        """Show the last row covered of each log."""
        statement = self.statements[record.number]
        positions = statement.positions if statement else ()
        return " · ".join(f"{position.service} {intcomma(position.sequence)}" for position in positions)

    def render_hash(self, value: str) -> SafeString:
        """Show the start and the end of the hash."""
        return cut(value)

    def render_key(self, record: LogCheckpoint) -> SafeString:
        """Show the fingerprint of the key that signed."""
        statement = self.statements[record.number]
        return cut(statement.key if statement else "")

    def render_time_stamp(self, record: LogCheckpoint) -> SafeString | str:
        """Show the authority's time, as a link to the time stamp."""
        stamp = self.time_stamps.get(record.number)
        if stamp is None:
            return ""
        label = _("Download the time stamp of checkpoint %(number)d") % {"number": record.number}
        address = reverse("logs:time_stamp", args=[record.number])
        return format_html(
            '<a href="{}" download aria-label="{}" title="{}">{} {}</a>',
            address,
            label,
            stamp.authority,
            icon("download"),
            exactly(stamp.at),
        )

    def render_anchor(self, record: LogCheckpoint) -> SafeString:
        """Link to the anchor file."""
        label = _("Download checkpoint %(number)d as anchor") % {"number": record.number}
        address = reverse("logs:anchor", args=[record.number])
        return format_html(
            '<a href="{}" download aria-label="{}">{} {}</a>', address, label, icon("download"), _("Download")
        )
