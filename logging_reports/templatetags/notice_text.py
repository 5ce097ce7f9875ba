"""Template filters of notices."""

from __future__ import annotations

from django import template

from logging_reports.notices import wording
from logging_reports.notices.models import Notice

register = template.Library()


@register.filter
def headline(notice: Notice) -> str:
    """Show a notice's event, and how often."""
    return wording.headline(notice)
