"""Records the keys that a run did not finish: which were refused, which were not tried, and each reason once."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from jobs.choices import TargetState
from jobs.confirmation.plan import names_of
from jobs.engine.run import JobRun
from jobs.engine.transaction import RunTransaction
from jobs.models import JobTarget
from jobs.outcome import describe_outcome
from jobs.spec import Wording
from kmes.core.errors import KmesError
from logging_reports.choices import Severity


def record_undone(
    tx: RunTransaction, run: JobRun, targets: Sequence[JobTarget], error: KmesError, *, wording: Wording
) -> None:
    """Record that an error ended the work on these pending targets, and tell the reason in one message.

    Of a push the targets in ``run.tried`` have failed and the others were not tried. Other kinds work on one
    key, or on all at once.
    """
    tried = [each for each in targets if each.pk in run.tried or not run.spec.pushes_keys]
    others = [each for each in targets if each not in tried]
    reason = str(error)
    tx.record_results([(each, reason) for each in tried], TargetState.FAILED)
    # Where none failed, the reason stands with the first key that was not tried.
    told = iter(() if tried else (reason,))
    tx.record_results([(each, next(told, "")) for each in others], TargetState.NOT_TRIED)
    if tried or len(targets) == 1:
        tell_failure(tx, run, [each.key.name for each in tried or targets], reason, wording=wording)
    else:
        tx.add_message(reason, Severity.ERROR)
    if len(targets) > 1 and others:
        tx.add_message(_("Not tried: %(names)s") % {"names": names_of([each.key for each in others])}, Severity.WARNING)


def tell_failure(tx: RunTransaction, run: JobRun, names: Sequence[str], reason: str, *, wording: Wording) -> None:
    """Add the message about each key that failed; a reason that this run told before is not repeated."""
    for name in names:
        said = _("the same reason as above") if reason in run.told_reasons else reason
        run.told_reasons.add(reason)
        tx.add_message(wording.one_failed(name, said), Severity.ERROR)


def outcome_of(run: JobRun) -> str:
    """Return how the job's keys came out so far; "" for fewer than two."""
    return describe_outcome(run.job.targets.values_list("state", flat=True), run.spec)
