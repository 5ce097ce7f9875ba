"""Secrets that this process has seen in clear, so that no text which leaves it carries one.

Whoever opens a secret or receives a token says so here. Process logs are masked by ``MaskingFormatter``; texts of other
systems, such as an error that echoes a secret, are masked before they become part of an error or a log row.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from threading import Lock

MASK = "***"
# Tokens are renewed every hour; older ones have expired.
MAX_KEPT = 64
# Shorter values would mask words that mean something else.
MIN_LENGTH = 8

_lock = Lock()
_values: OrderedDict[str, None] = OrderedDict()


def remember(value: str) -> None:
    """Mask this value from now on."""
    if len(value) < MIN_LENGTH:
        return
    with _lock:
        _values.pop(value, None)
        _values[value] = None
        while len(_values) > MAX_KEPT:
            _values.popitem(last=False)


def mask(text: str) -> str:
    """Return a text in which every known secret is masked."""
    with _lock:
        known = list(_values)
    for value in known:
        if value in text:
            text = text.replace(value, MASK)
    return text


class MaskingFormatter(logging.Formatter):
    """Formats a line of the process log, tracebacks included, and masks it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the masked line."""
        return mask(super().format(record))
