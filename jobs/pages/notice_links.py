"""Where notices about jobs lead."""

from __future__ import annotations

from collections.abc import Sequence

from django.urls import reverse

from jobs.engine.approval_policies import CHANGED
from logging_reports.models import LogEntry
from logging_reports.notices.notice_links import register


def _job_page(entries: Sequence[LogEntry]) -> str:
    code = entries[0].job_code
    return reverse("jobs:detail", args=[code]) if code else ""


def _approval_page(entries: Sequence[LogEntry]) -> str:
    event, code = entries[0].event, entries[0].job_code
    if not event.startswith("approval."):
        return ""
    return reverse("approvals:policies") if event == CHANGED else reverse("approvals:detail", args=[code])


def register_all() -> None:
    """Register the links of this app."""
    register("approval", _approval_page, order=15)
    register("job", _job_page, order=20)
