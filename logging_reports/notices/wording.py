"""What a notice says outside the console: headline, text, address."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _

from logging_reports.events import EVENTS
from logging_reports.notices.models import Notice
from logging_reports.rendering import visible


def label_of(event: str) -> str:
    """Return an event's text; a name this version doesn't know shows itself."""
    return str(EVENTS[event].label) if event in EVENTS else event


def headline(notice: Notice) -> str:
    """Return one line: the event's text, and how often where it stands for several rows."""
    label = label_of(notice.event)
    return _("%(label)s (%(count)d)") % {"label": label, "count": notice.count} if notice.count > 1 else label


def text_of(notice: Notice) -> str:
    """Return the message of the first row, and how many more there are."""
    text = visible(notice.message)
    if notice.count > 1:
        return _("%(text)s — and %(more)d more") % {"text": text, "more": notice.count - 1}
    return text


def absolute_url(path: str) -> str:
    """Return the address of a page; only its path where the installation's own address isn't set."""
    return str(settings.KMES_PUBLIC_URL).rstrip("/") + path
