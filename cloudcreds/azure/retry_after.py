"""Reads the header Retry-After (RFC 9110, 10.2.3): seconds, or a date."""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime

from kmes.core.clock import now


def read_retry_after(text: str) -> float | None:
    """Return for how many seconds to wait, never negative; None when the header is missing or can't be read."""
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        return _until(text)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (aware - now()).total_seconds())
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
