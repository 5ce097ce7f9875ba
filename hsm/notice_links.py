"""Where notices about the device lead."""

from __future__ import annotations

from collections.abc import Sequence

from django.urls import reverse

from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.notices.notice_links import register


def _device_page(entries: Sequence[LogEntry]) -> str:
    return reverse("hsm:device") if entries[0].service == Service.DEVICE else ""


def register_all() -> None:
    """Register where notices about the device lead."""
    register("device", _device_page, order=60)
