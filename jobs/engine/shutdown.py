"""Whether this worker was asked to stop: its jobs then return to the queue at the next safe point.

A worker that stops waits for its jobs. A push of a quarter of an hour would be killed in the middle, and
taken up again only when its lease has run out. Set in the worker's main process, read by the processes it forks.
"""

from __future__ import annotations

import multiprocessing

_requested = multiprocessing.get_context("fork").Event()


def request() -> None:
    """Ask the jobs of this worker to return to the queue."""
    _requested.set()


def requested() -> bool:
    """Return whether the jobs of this worker should return to the queue."""
    return _requested.is_set()


def reset() -> None:
    """Withdraw the request: a new worker begins."""
    _requested.clear()
