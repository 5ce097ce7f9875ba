"""Template filters of the log pages: exact times, control characters, structured data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from django import template

from kmes.core.clock import stamp
from logging_reports import safe_text
from logging_reports.choices import SEVERITY_COLOURS
from logging_reports.events import EVENTS

if TYPE_CHECKING:
    from datetime import datetime

register = template.Library()


@register.filter
def visible(text: object) -> str:
    r"""Write control and direction characters as ``\uXXXX``."""
    return safe_text.visible(str(text))


@register.filter
def exact_time(moment: datetime) -> str:
    """Show a time as the console's logs do, in UTC."""
    return stamp(moment)


@register.filter
def event_label(name: str) -> str:
    """Show an event's label, or the name of an unknown event."""
    return str(EVENTS[name].label) if name in EVENTS else name


@register.filter
def severity_tone(severity: str) -> str:
    """Return the badge color (``info``, ``warning``, ``bad``) of a severity."""
    return SEVERITY_COLOURS.get(severity, "info")


@register.filter
def pretty_json(data: object) -> str:
    """Show structured data as indented JSON, with hidden characters escaped."""
    lines = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False).split("\n")
    return "\n".join(safe_text.visible(line) for line in lines)


@register.filter
def as_fields(query: str) -> list[tuple[str, str]]:
    """Return a query string's names and values, for hidden fields of a form."""
    return parse_qsl(query)
