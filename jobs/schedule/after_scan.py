"""What packages above jobs do after each scan of jobs; they register when they are loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable

from kmes.core.errors import KmesError

logger = logging.getLogger(__name__)
_tasks: list[Callable[[], object]] = []


def register(task: Callable[[], object]) -> None:
    """Have a function called after each scan. It must be quick, and right however often it is called."""
    if task not in _tasks:
        _tasks.append(task)


def run_all() -> None:
    """Call what was registered."""
    for task in _tasks:
        try:
            task()
        except KmesError as error:
            # The next scan tries again.
            logger.warning("%s failed after a scan (%s)", task.__name__, error.code)
