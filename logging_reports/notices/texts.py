"""The texts of a notice: headline, message, address."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _

from logging_reports.events import EVENTS
from logging_reports.notices.models import Notice
from logging_reports.safe_text import visible


def label_of(event: str) -> str:
    """Return an event's label, or the name of an unknown event."""
    return str(EVENTS[event].label) if event in EVENTS else event


def headline(notice: Notice) -> str:
    """Return the event's label, with the number of rows if there are several."""
    label = label_of(notice.event)
    return _("%(label)s (%(count)d)") % {"label": label, "count": notice.count} if notice.count > 1 else label


def text_of(notice: Notice) -> str:
    """Return the message of the first row, and the number of further rows."""
    text = visible(notice.message)
    if notice.count > 1:
        return _("%(text)s — and %(more)d more") % {"text": text, "more": notice.count - 1}
    return text


def absolute_url(path: str) -> str:
    """Return the URL of a page. Only its path where KMES_PUBLIC_URL is not set."""
    return str(settings.KMES_PUBLIC_URL).rstrip("/") + path
