"""Where notices and log rows about users lead."""

from __future__ import annotations

from collections.abc import Sequence

from django.urls import reverse

from logging_reports.choices import Topic
from logging_reports.events import NOTICE_TOPICS
from logging_reports.models import LogEntry
from logging_reports.notices.notice_links import register


def _own_page(entries: Sequence[LogEntry]) -> str:
    """Return the page on which the user acts on a notice of an own sign-in: it ends a session, or replaces a factor."""
    event = entries[0].event
    if NOTICE_TOPICS.get(event) != Topic.SIGN_IN:
        return ""
    return reverse("accounts:own_sessions") if event == "access.new_device" else reverse("accounts:second_factor")


def _user_page(entries: Sequence[LogEntry]) -> str:
    """Return the page of the user whom a row ``user.*`` is about. Users are deactivated, never deleted."""
    user_id = entries[0].data.get("user_id") if entries[0].event.startswith("user.") else None
    return reverse("accounts:user", args=[user_id]) if isinstance(user_id, int) else ""


def register_all() -> None:
    """Register the links of this app."""
    register("own_sign_in", _own_page, order=60, is_for_actor=True)
    register("user", _user_page, order=61)
