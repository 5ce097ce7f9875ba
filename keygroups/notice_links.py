"""Pages that notices about keys and groups link to."""

from __future__ import annotations

from collections.abc import Sequence

from django.urls import reverse

from keygroups.models import group_url
from logging_reports.models import LogEntry
from logging_reports.notices.notice_links import register

_EXPIRY_EVENTS = ("key.version_expiring", "credential.secret_expiring")


def _expiring_report(entries: Sequence[LogEntry]) -> str:
    several = len(entries) > 1 and entries[0].event in _EXPIRY_EVENTS
    return reverse("reports:report", args=["expiring"]) if several else ""


def _key_page(entries: Sequence[LogEntry]) -> str:
    key_id = entries[0].key_id
    return reverse("keygroups:key_detail", args=[key_id]) if key_id else ""


def _group_page(entries: Sequence[LogEntry]) -> str:
    group_id = entries[0].group_id
    return group_url(group_id) if group_id else ""


def register_all() -> None:
    """Register the links of this app."""
    register("expiring", _expiring_report, order=10)
    register("key", _key_page, order=30)
    register("group", _group_page, order=40)
