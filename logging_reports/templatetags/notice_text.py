"""Template filters of notices."""

from __future__ import annotations

from django import template

from logging_reports.notices import texts
from logging_reports.notices.models import Notice

register = template.Library()


@register.filter
def headline(notice: Notice) -> str:
    """Show the headline of a notice."""
    return texts.headline(notice)
