"""The language of records: always English.

Rows of the log are evidence, chained by their text, and all users read a job's messages. Pages and errors
are in the language of their reader (docs/decisions/0012-records-are-english.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import translation

if TYPE_CHECKING:
    from django.utils.functional import Promise


def of_records() -> translation.override:
    """Open a block in which gettext returns the texts of the code."""
    return translation.override(None)


def recorded(label: str | Promise) -> str:
    """Return a lazy label in the language of records."""
    with of_records():
        return str(label)
