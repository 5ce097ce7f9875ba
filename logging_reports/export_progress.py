"""What the page shows of background exports: state, progress, available actions. Reads only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from kmes.core import clock
from logging_reports import export_files
from logging_reports.choices import EXPORT_COLOURS, ExportState
from logging_reports.export_lifecycle import ABANDONED_AFTER
from logging_reports.models import LogExport


@dataclass(frozen=True)
class ExportView:
    """One export as the page shows it. ``percent`` is None while the total is unknown."""

    row: LogExport
    label: str
    colour: str
    note: str
    percent: int | None
    has_file: bool


def list_exports() -> QuerySet[LogExport]:
    """Return everybody's exports, newest first."""
    return LogExport.objects.order_by("-created_at")


def digest_of(exports: Iterable[ExportView]) -> str:
    """Return a short text that changes when anything shown of these exports does."""
    seen = repr([(str(each.row.pk), each.label, each.row.rows_done, each.note, each.has_file) for each in exports])
    return hashlib.blake2s(seen.encode(), digest_size=8).hexdigest()


def view_export(row: LogExport) -> ExportView:
    """Return what the page shows of an export. Checks whether its file exists."""
    has_file = row.state == ExportState.READY and export_files.find(row.file_name) is not None
    label, colour, note = str(row.get_state_display()), EXPORT_COLOURS[row.state], ""
    moment = clock.now()
    if row.state == ExportState.RUNNING and row.seen_at and row.seen_at < moment - ABANDONED_AFTER:
        colour, note = "warning", _("The report worker has fallen silent. Cancel this export and ask for it again.")
    elif row.state == ExportState.QUEUED and row.created_at < moment - ABANDONED_AFTER:
        colour, note = "warning", _("The report worker has not begun it for some minutes. Is it running?")
    elif row.state == ExportState.READY and not has_file:
        label, colour = str(ExportState.EXPIRED.label), EXPORT_COLOURS[ExportState.EXPIRED]
    percent = min(100, row.rows_done * 100 // row.rows_total) if row.rows_total else None
    return ExportView(row, label, colour, note, percent, has_file)
