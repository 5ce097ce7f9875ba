"""How the keys of a job came out, counted: one sentence, the same in the job's log, its page and the System Logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from django.utils.translation import gettext as _

from jobs.choices import TargetState
from jobs.spec import JobSpec


def describe_outcome(states: Iterable[str], spec: JobSpec | None) -> str:
    """Return "2 of 8 imported, 1 refused, 5 not tried"; "" for a job on fewer than two keys."""
    counts = Counter(states)
    total = sum(counts.values())
    if total < 2:
        return ""
    is_push = spec is not None and spec.pushes_keys
    done = _("%(done)d of %(total)d imported") if is_push else _("%(done)d of %(total)d done")
    failed = _("%(count)d refused") if is_push else _("%(count)d failed")
    parts = [done % {"done": counts[TargetState.DONE], "total": total}]
    for state, text in (
        (TargetState.FAILED, failed),
        (TargetState.NOT_TRIED, _("%(count)d not tried")),
        (TargetState.SKIPPED, _("%(count)d skipped")),
        (TargetState.PENDING, _("%(count)d pending")),
    ):
        if counts[state]:
            parts.append(text % {"count": counts[state]})
    return ", ".join(parts)
