"""The one source of the current time, so that tests and simulations can move it."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return timezone.now()


def stamp(moment: datetime) -> str:
    """Format a moment as the console's logs do: ``YYYY-MM-DD HH:MM:SS`` in UTC."""
    return moment.astimezone(timezone.get_fixed_timezone(0)).strftime("%Y-%m-%d %H:%M:%S")
