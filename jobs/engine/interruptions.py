"""Why a run stops before its work is done, other than by a failure of its own."""

from __future__ import annotations

from kmes.core.errors import KmesError


class Cancelled(KmesError):
    """A user asked to cancel the job, and the run is at a point where it can stop."""

    code = "cancelled"


class WaitUntil(KmesError):
    """The job returns to the queue for ``seconds``; ``what`` says what it waits for."""

    code = "waiting"

    def __init__(self, what: str, *, seconds: float, counts_as_failure: bool = False) -> None:
        super().__init__(what, retryable=True)
        self.seconds = max(0.0, seconds)
        self.counts_as_failure = counts_as_failure


class Yielded(WaitUntil):
    """The job returns to the queue behind the jobs that wait for a worker."""


class PartsUnderWay(WaitUntil):
    """The job on many key groups waits for ``open_parts`` jobs that it opened, and says nothing about it."""

    def __init__(self, *, open_parts: int, seconds: float) -> None:
        super().__init__("", seconds=seconds)
        self.open_parts = open_parts


class PartsFailed(KmesError):
    """Parts of a job on many key groups failed; ``is_partial``: others succeeded."""

    code = "parts_failed"

    def __init__(self, what: str, remedy: str, *, is_partial: bool) -> None:
        super().__init__(what, remedy)
        self.is_partial = is_partial


class RightsMissing(KmesError):
    """A look at the vault found that rights are missing, and nothing else."""
