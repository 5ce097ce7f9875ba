"""The ledger of mutating calls: announced before, resolved after, never repeated blindly.

Azure has no idempotency token: an import whose answer got lost may have made a version, or may
still make one. An intent that is pending from an earlier run, or unknown, therefore bars a
repeat until the quarantine is over (RELIABILITY.md, 4.3; docs/decisions/0003).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.conf import settings
from django.utils.translation import gettext as _

from cloudcreds.azure.errors import AzureError
from jobs.choices import IntentState
from jobs.context import JobRun, WaitUntil, quarantine_left
from jobs.lifecycle import LeaseLost
from jobs.models import Intent
from keygroups.models import Key
from kmes.core.clock import now

OPEN_STATES = (IntentState.PENDING, IntentState.UNKNOWN)


def announce(run: JobRun, operation: str, *, key: Key | None = None) -> Intent:
    """Write down a call that is about to be made. Call inside ``run.write()``."""
    (intent,) = announce_all(run, operation, [key])
    return intent


def announce_all(run: JobRun, operation: str, keys: Sequence[Key | None]) -> list[Intent]:
    """Write down calls that are about to be made, one per key. Call inside ``run.write()``."""
    return Intent.objects.bulk_create(
        Intent(
            job=run.job,
            fence=run.held.fence,
            operation=operation,
            azure_lock=run.job.azure_lock,
            key=key,
            thumbprint=key.thumbprint if key else "",
            sent_at=now(),
        )
        for key in keys
    )


def resolve(intent: Intent, state: IntentState, *, kid: str = "") -> None:
    """Write down what became of a call. Call inside ``run.write()``."""
    resolve_all([(intent, kid)], state)


def resolve_all(intents: Sequence[tuple[Intent, str]], state: IntentState) -> None:
    """Write down that some calls, each with the key identifier it gave, came out alike. Call inside ``run.write()``."""
    for intent, kid in intents:
        intent.state, intent.kid, intent.resolved_at = state, kid, now()
    Intent.objects.bulk_update([intent for intent, _kid in intents], ["state", "kid", "resolved_at"])


def is_fresh(intent: Intent) -> bool:
    """Return whether the announcement is young enough for its call to be made still."""
    age = (now() - intent.sent_at).total_seconds()
    return age <= float(settings.KMES_LEASE_SECONDS) / 2


@contextmanager
def announced(run: JobRun, intent: Intent) -> Iterator[None]:
    """Resolve an intent when its call fails: refused when it had no effect, else unknown.

    Raises:
        WaitUntil: the outcome is unknown; the job looks again after the quarantine.
        LeaseLost: too much time has passed since the announcement to make the call still.

    """
    run.reach(f"before_{intent.operation}")
    if not is_fresh(intent):
        # This process stood still since it announced the call. Others may have taken the job over and
        # waited the quarantine out; only a call made at once keeps what the announcement promises.
        raise LeaseLost(_("The worker stood still for too long and stops."))
    try:
        yield
        run.reach(f"after_{intent.operation}")
    except AzureError as error:
        with run.write():
            resolve(intent, IntentState.UNKNOWN if error.effect_unknown else IntentState.REFUSED)
        if error.effect_unknown:
            raise WaitUntil(
                _("the outcome of a call to Azure is unknown (%(why)s); looking again before anything is repeated")
                % {"why": error.what},
                seconds=quarantine_left(intent.sent_at, settings.KMES_UNKNOWN_QUARANTINE_SECONDS),
            ) from error
        raise


def open_intents(run: JobRun) -> list[Intent]:
    """Return the unresolved calls on the job's Azure key, of this job or any other, oldest first."""
    return list(Intent.objects.filter(azure_lock=run.job.azure_lock, state__in=OPEN_STATES).select_related("key"))


def wait_for_quarantine(intents: list[Intent]) -> None:
    """Return when no unresolved call can take effect any more.

    Raises:
        WaitUntil: one still can; until then nothing may be imported into that name.

    """
    left = max(
        (quarantine_left(intent.sent_at, settings.KMES_UNKNOWN_QUARANTINE_SECONDS) for intent in intents), default=0.0
    )
    if left > 0:
        raise WaitUntil(_("an earlier call to Azure whose outcome is unknown may still take effect"), seconds=left)
