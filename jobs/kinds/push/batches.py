"""A large push in batches, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.utils.translation import gettext as _

from cloudcreds.rate_limit import seconds_for
from jobs.choices import TargetState
from jobs.engine.run import JobRun
from jobs.engine.transaction import RunTransaction
from jobs.models import JobTarget
from keygroups.models import KeyGroup

# Keys wrapped ahead of their import. A large job must not keep all its blobs in memory.
BATCH = 25
# Imports announced in one transaction where the vault has no rate limit: as many as are made in about a
# second, so that the job's page shows their results each second.
WINDOW = BATCH
WINDOW_SECONDS = 1.0


def batched(targets: list[JobTarget]) -> Iterator[list[JobTarget]]:
    """Cut a job's targets into batches."""
    for start in range(0, len(targets), BATCH):
        yield targets[start : start + BATCH]


class Progress:
    """Counts the imported keys of one of a job's groups and shows them, once a second at most."""

    def __init__(self, run: JobRun, group: KeyGroup) -> None:
        states = list(run.job.targets.filter(key__group=group).values_list("state", flat=True))
        self._total, self._done = len(states), states.count(TargetState.DONE)
        self._left = states.count(TargetState.PENDING)
        self._shown_at = time.monotonic()

    def advance(self, tx: RunTransaction, count: int) -> None:
        """Count some more keys."""
        self._done, self._left = self._done + count, self._left - count
        if time.monotonic() - self._shown_at >= 1:
            self._shown_at = time.monotonic()
            tx.show_progress("import_key", self.text())

    def text(self) -> str:
        """Return how many keys are in the vault, and how long a large rest takes at the vault's rate limit."""
        text = _("%(done)d of %(total)d") % {"done": self._done, "total": self._total}
        if self._left <= BATCH:
            return text
        minutes = round(seconds_for(self._left) / 60) or 1
        return _("%(text)s, at least %(minutes)d min left") % {"text": text, "minutes": minutes}
