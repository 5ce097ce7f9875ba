"""The test or listing of a credential that is under way. Jobs, which know it, register how to find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Activity:
    """Work under way: its name, and the page that shows it.

    ``next_try_at`` is when it tries again that waits for a right to be granted, and ``cancel_url`` the page that ends it.
    """

    label: str
    url: str
    next_try_at: datetime | None = None
    cancel_url: str = ""


Finder = Callable[[UUID], Activity | None]
_finders: list[Finder] = []


def register(finder: Finder) -> None:
    """Register a finder; the same one again changes nothing (apps may be loaded twice)."""
    if finder not in _finders:
        _finders.append(finder)


def current(credential_id: UUID) -> Activity | None:
    """Return the test or listing of the credential that is queued or running; None when there is none.

    A page asks before it reads what the work writes: asked later, it might take rows from before its end for the last.
    """
    return next((found for finder in _finders if (found := finder(credential_id)) is not None), None)
