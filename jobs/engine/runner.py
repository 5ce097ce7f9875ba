"""What the engine asks of a kind of job: how to run it, and what to do when it does not go well.

Each kind has one ``RUNNER`` in its ``runner`` module. Nothing has a default: a kind that needs nothing says so
with one of the functions below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobs.engine.run import JobRun
from jobs.engine.transaction import RunTransaction
from keygroups.models import Key
from kmes.core.errors import KmesError


@dataclass(frozen=True)
class Runner:
    """How jobs of one kind are run and ended."""

    # Does the work. A run after a crash calls it again, so it begins by looking.
    run: Callable[[JobRun], None]
    # Removes what a failed or cancelled job left in the vault, before it ends.
    clean_up: Callable[[JobRun], None]
    # Records, in the transaction that ends such a job, that a key was not worked on.
    abandon_key: Callable[[RunTransaction, Key], None]
    # Adds the kind's own log row to the transaction that ends a failed job.
    log_failure: Callable[[RunTransaction, KmesError], None]


def nothing_to_clean_up(_run: JobRun) -> None:
    """Jobs of this kind leave nothing in the vault."""


def nothing_to_abandon(_tx: RunTransaction, _key: Key) -> None:
    """Keys have no state that belongs to a job of this kind."""


def no_failure_event(_tx: RunTransaction, _error: KmesError) -> None:
    """Jobs of this kind have no event of their own for a failure."""
