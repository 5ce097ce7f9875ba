"""Where notices about jobs lead."""

from __future__ import annotations

from collections.abc import Sequence

from django.urls import reverse

from logging_reports.models import LogEntry
from logging_reports.notices.notice_links import register


def _job_page(entries: Sequence[LogEntry]) -> str:
    code = entries[0].job_code
    return reverse("jobs:detail", args=[code]) if code else ""


def register_all() -> None:
    """Register the links of this app."""
    register("job", _job_page, order=20)
