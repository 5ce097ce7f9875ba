"""Template filters of the log pages: exact times, visible control characters, readable data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from django import template

from kmes.core.clock import stamp
from logging_reports import rendering
from logging_reports.choices import SEVERITY_COLOURS
from logging_reports.events import EVENTS

if TYPE_CHECKING:
    from datetime import datetime

register = template.Library()


@register.filter
def visible(text: object) -> str:
    r"""Write control and direction characters as ``\uXXXX``."""
    return rendering.visible(str(text))


@register.filter
def exact_time(moment: datetime) -> str:
    """Show a time as the console's logs do, in UTC."""
    return stamp(moment)


@register.filter
def event_label(name: str) -> str:
    """Show an event's text; a name this version doesn't know shows itself."""
    return str(EVENTS[name].label) if name in EVENTS else name


@register.filter
def severity_tone(severity: str) -> str:
    """Return the meaning (``info``, ``warning``, ``bad``) that colours a severity's badge."""
    return SEVERITY_COLOURS.get(severity, "info")


@register.filter
def pretty_json(data: object) -> str:
    """Show structured data on lines of its own, with hidden characters written out."""
    lines = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False).split("\n")
    return "\n".join(rendering.visible(line) for line in lines)


@register.filter
def as_fields(query: str) -> list[tuple[str, str]]:
    """Return a query string's names and values, for a form that sends them again."""
    return parse_qsl(query)
