"""Whether this worker was asked to stop: its jobs then give way at the next safe point.

A worker that is stopped waits for its jobs; one that pushes for a quarter of an hour would be killed in
the middle, and found again only when its lease has run out. Set in the worker's main process, seen by the
processes it forked.
"""

from __future__ import annotations

import multiprocessing

_asked = multiprocessing.get_context("fork").Event()


def ask() -> None:
    """Ask the jobs of this worker to give way."""
    _asked.set()


def is_asked() -> bool:
    """Return whether jobs of this worker should give way."""
    return _asked.is_set()


def forget() -> None:
    """Take it back: a new worker begins."""
    _asked.clear()
