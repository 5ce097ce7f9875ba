"""A large push in batches, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.utils.translation import gettext as _

from jobs.choices import TargetState
from jobs.engine.rate_limit import seconds_for
from jobs.engine.run import JobRun
from jobs.models import JobTarget
from keygroups.models import KeyGroup

# Keys wrapped ahead of their import: blobs of a large job must not pile up in memory.
BATCH = 25
# Imports announced in one transaction where no pace has to be kept between them: as many as are made in
# about a second, so that the page sees each second what became of them.
WINDOW = BATCH
WINDOW_SECONDS = 1.0


def pending_in(run: JobRun, group: KeyGroup) -> list[JobTarget]:
    """Return the job's pending targets in one of its groups, in order."""
    return [target for target in run.pending_targets() if target.key.group_id == group.pk]


def batched(targets: list[JobTarget]) -> Iterator[list[JobTarget]]:
    """Cut a job's targets into batches."""
    for start in range(0, len(targets), BATCH):
        yield targets[start : start + BATCH]


class Progress:
    """Counts the imported keys of one of a job's groups and shows them, once a second at most."""

    def __init__(self, run: JobRun, group: KeyGroup) -> None:
        self._run = run
        states = list(run.job.targets.filter(key__group=group).values_list("state", flat=True))
        self._total, self._done = len(states), states.count(TargetState.DONE)
        self._left = states.count(TargetState.PENDING)
        self._shown_at = time.monotonic()

    def advance(self, count: int) -> None:
        """Count some more keys. Call inside ``run.write()``."""
        self._done, self._left = self._done + count, self._left - count
        if time.monotonic() - self._shown_at >= 1:
            self._shown_at = time.monotonic()
            self._run.show_progress("import_key", self.text())

    def text(self) -> str:
        """Say how many keys are in the vault, and how long the rest takes when the vault's pace counts."""
        text = _("%(done)d of %(total)d") % {"done": self._done, "total": self._total}
        if self._left <= BATCH:
            return text
        minutes = round(seconds_for(self._left) / 60) or 1
        return _("%(text)s, at least %(minutes)d min left") % {"text": text, "minutes": minutes}
