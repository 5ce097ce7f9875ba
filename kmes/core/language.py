"""The language of what is kept: English, whoever causes it and whoever reads it.

Rows of the log are evidence, chained by their text, and a job writes for everybody who will open it. Pages and
refusals follow their reader (docs/decisions/0012-records-are-english.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import translation

if TYPE_CHECKING:
    from django.utils.functional import Promise


def of_records() -> translation.override:
    """Open a block in which gettext answers with the words as they stand in the code."""
    return translation.override(None)


def recorded(label: str | Promise) -> str:
    """Return a lazy label as records say it."""
    with of_records():
        return str(label)
