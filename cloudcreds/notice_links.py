"""The pages to which notices about credentials link."""

from __future__ import annotations

from collections.abc import Sequence

from django.urls import reverse

from logging_reports.models import LogEntry
from logging_reports.notices.notice_links import register


def _credential_page(entries: Sequence[LogEntry]) -> str:
    credential_id = entries[0].credential_id
    return reverse("cloudcreds:detail", args=[credential_id]) if credential_id else ""


def register_all() -> None:
    """Register the links of this app."""
    register("credential", _credential_page, order=50)
