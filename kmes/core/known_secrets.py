"""Secrets that this process has seen in clear, so that no text which leaves it carries one.

Whoever opens a secret or receives a token says so here. Process logs are masked by ``MaskingFormatter``; texts of other
systems, such as an error that echoes a secret, are masked before they become part of an error or a log row.
"""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from threading import Lock

MASK = "***"
# Tokens are renewed every hour; older ones have expired.
MAX_KEPT = 64
# Shorter values would mask words that mean something else.
MIN_LENGTH = 8

# C0 and C1 controls, and Unicode's line and paragraph separators.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LINE_END = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")

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
    """Formats an entry of the process log, tracebacks included, and masks it.

    An entry begins with its time in UTC at the beginning of a line. No other line does, whatever the text holds: control
    characters of a message are shown as escapes, and the lines of a traceback are indented.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the entry's first line."""
        return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Return the masked entry."""
        return "\n    ".join(_LINE_END.split(mask(super().format(record))))
