"""Template filters of notices: headline, message, and the tone of a delivery's state."""

from __future__ import annotations

from django import template

from logging_reports.notices import wording
from logging_reports.notices.choices import DELIVERY_COLOURS
from logging_reports.notices.models import Delivery, Notice

register = template.Library()


@register.filter
def headline(notice: Notice) -> str:
    """Show a notice's event, and how often."""
    return wording.headline(notice)


@register.filter
def notice_message(notice: Notice) -> str:
    """Show a notice's text with hidden characters written out."""
    return wording.text_of(notice)


@register.filter
def delivery_tone(delivery: Delivery) -> str:
    """Return the meaning that colours a delivery's state."""
    return DELIVERY_COLOURS.get(delivery.state, "neutral")
