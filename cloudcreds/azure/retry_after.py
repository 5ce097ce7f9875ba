"""Reads the header Retry-After (RFC 9110, 10.2.3): seconds, or a date."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from kmes.core.clock import now


def read_retry_after(text: str, date: str = "") -> float | None:
    """Return for how many seconds to wait, never negative; None when the header is missing or can't be read.

    ``date`` is the answer's header Date. A moment is one of the sender's clock, and this machine's may be wrong: of what
    the two leave, the shorter wait counts.
    """
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        sent = _moment(date)
        left = [left for left in (_until(text, now()), _until(text, sent) if sent else None) if left is not None]
        return min(left, default=None)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(text: str, begin: datetime) -> float | None:
    end = _moment(text)
    return max(0.0, (end - begin).total_seconds()) if end is not None else None


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
