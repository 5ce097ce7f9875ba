"""The visible steps of a run: what its job's page shows as running or done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.engine.cancellation import stop_if_requested
from jobs.engine.run import JobRun
from kmes.core.clock import now


@contextmanager
def step(run: JobRun, name: str, detail: str = "", *, deferred: bool = False) -> Iterator[None]:
    """Run the body as one visible step, at whose start the job may be cancelled.

    ``deferred`` shows its start with the body's first write instead of a transaction of its own.

    Raises:
        Cancelled: a user asked to cancel the job.

    """
    stop_if_requested(run)
    if deferred:
        begin_deferred(run, name, detail)
    else:
        with run.write() as tx:
            tx.begin_step(name, detail)
    run.failpoint(f"before_{name}")
    yield
    run.failpoint(f"after_{name}")
    end_deferred(run, name, detail)


def begin_deferred(run: JobRun, name: str, detail: str = "") -> None:
    """Show a step as running with the next write: one that begins with a write, or is over at once."""
    part, moment = run.part, now()
    run.defer(lambda tx: tx.begin_step(name, detail, part=part, at=moment))


def end_deferred(run: JobRun, name: str, detail: str = "", *, is_warning: bool = False) -> None:
    """Show a step as done with the next write. One that was never shown as running gets its row then.

    ``is_warning``: something is left behind, which the detail names; the job succeeds with a warning.
    """
    part, moment = run.part, now()
    run.defer(lambda tx: tx.end_step(name, detail, part=part, at=moment, is_warning=is_warning))
