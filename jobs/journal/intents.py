"""The journal of mutating calls: each is announced before it is made and resolved after, never repeated blindly.

Azure has no idempotency token. An import whose answer was lost may have made a version, or may still make
one. An intent that is pending from an earlier run, or unknown, therefore bars a repeat until its quarantine
is over (docs/decisions/0003-intent-and-quarantine.md).

The quarantine is counted by the machine's uptime, not by its clock: a clock that is set an hour ahead must
not end it (docs/decisions/0011-quarantine-by-uptime.md). It begins at the last moment at which the request
can have left its worker. An announcement is good for KMES_SEND_SECONDS. A call that leaves later, after a
throttled vault or a worker that stood still, is announced anew first, and the connection refuses to send what
is too late (``cloudcreds.provider.send_deadline``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError
from cloudcreds.provider.send_deadline import SendBy
from jobs.choices import IntentOperation, IntentState
from jobs.engine.begun_marks import mark_begun
from jobs.engine.interruptions import WaitUntil
from jobs.engine.run import JobRun
from jobs.engine.transaction import RunTransaction
from jobs.models import Intent
from keygroups.models import Key
from kmes.core import clock
from kmes.core.clock import now
from kmes.core.row_updates import update_each

UNRESOLVED_STATES = (IntentState.PENDING, IntentState.UNKNOWN)


def announce(tx: RunTransaction, operation: IntentOperation, *, key: Key | None = None) -> Intent:
    """Write down a call that is about to be made."""
    (intent,) = announce_all(tx, operation, [key])
    return intent


def announce_all(tx: RunTransaction, operation: IntentOperation, keys: Sequence[Key | None]) -> list[Intent]:
    """Write down calls that are about to be made, one per key."""
    mark_begun(tx.job)
    sent = _moment()
    return Intent.objects.bulk_create(
        Intent(
            job=tx.job,
            fence=tx.claim.fence,
            operation=operation,
            azure_lock=tx.job.azure_lock,
            key=key,
            thumbprint=key.thumbprint if key else "",
            **sent,
        )
        for key in keys
    )


def _moment() -> dict[str, Any]:
    """Return the present moment by the clock and by this machine's uptime."""
    up = clock.uptime()
    return {
        "sent_at": now(),
        "sent_boot_id": up.boot_id if up else "",
        "sent_uptime": up.seconds if up else 0.0,
    }


def resolve(tx: RunTransaction, intent: Intent, state: IntentState, *, kid: str = "") -> None:
    """Write down what became of a call."""
    resolve_all(tx, [(intent, kid)], state)


def resolve_all(tx: RunTransaction, intents: Sequence[tuple[Intent, str]], state: IntentState) -> None:
    """Write down that several calls, each with the key identifier it gave, came out alike."""
    tx.require_open()
    moment = now()
    for intent, kid in intents:
        intent.state, intent.kid, intent.resolved_at = state, kid, moment
    update_each([intent for intent, kid in intents if kid], ["state", "resolved_at", "kid"])
    if unnamed := [intent.pk for intent, kid in intents if not kid]:
        Intent.objects.filter(pk__in=unnamed).update(state=state, resolved_at=moment)


@dataclass
class _Call:
    """An announced call while it is being made."""

    intent: Intent
    send_by: SendBy

    def renew(self, tx: RunTransaction) -> None:
        """Announce the call from now on: what was tried so far had no effect."""
        tx.require_open()
        self.send_by = SendBy.within(settings.KMES_SEND_SECONDS)
        sent = _moment()
        for name, value in sent.items():
            setattr(self.intent, name, value)
        Intent.objects.filter(pk=self.intent.pk).update(**sent)


@contextmanager
def announced(run: JobRun, intent: Intent) -> Iterator[None]:
    """Make the announced call in the body. A failure resolves it: as refused when it had no effect, else as unknown.

    Raises:
        WaitUntil: the outcome is unknown; the job looks again after the quarantine.
        LeaseLost: another worker took the job over before the call could be made.

    """
    run.failpoint(f"before_{intent.operation}")
    # In this order: a pause between the two lines makes the deadline earlier, never later.
    send_by = SendBy.within(settings.KMES_SEND_SECONDS)
    run.announced_call = _Call(intent, send_by.earlier(seconds_since(intent)))
    try:
        yield
        run.failpoint(f"after_{intent.operation}")
    except CloudError as error:
        with run.write() as tx:
            resolve(tx, intent, IntentState.UNKNOWN if error.effect_unknown else IntentState.REFUSED)
        if error.effect_unknown:
            raise WaitUntil(
                _("the outcome of a call to Azure is unknown (%(why)s); looking again before anything is repeated")
                % {"why": error.what},
                seconds=quarantine_left(intent),
            ) from error
        raise
    finally:
        run.announced_call = None


def unresolved_intents(run: JobRun) -> list[Intent]:
    """Return the unresolved calls on the job's Azure key, of this job or any other, oldest first."""
    return list(Intent.objects.filter(azure_lock=run.job.azure_lock, state__in=UNRESOLVED_STATES).select_related("key"))


def quarantine_left(intent: Intent) -> float:
    """Return for how many seconds an unresolved call may still take effect."""
    left_after, quarantine = float(settings.KMES_SEND_SECONDS), float(settings.KMES_UNKNOWN_QUARANTINE_SECONDS)
    if intent.resolved_at is not None:
        # The worker gave up waiting for the answer then, so the call had left before, unless the clock was set.
        asked = (intent.resolved_at - intent.sent_at).total_seconds()
        left_after = asked if 0 <= asked <= left_after else left_after
    return left_after + quarantine - seconds_since(intent)


def seconds_since(intent: Intent) -> float:
    """Return how long ago a call was announced, whatever was done to this machine's clock since."""
    by_clock, up = float((now() - intent.sent_at).total_seconds()), clock.uptime()
    if up is None:
        return by_clock
    if up.boot_id == intent.sent_boot_id:
        return float(up.seconds - intent.sent_uptime)
    # Announced by another machine, or by this one before it started, when its clock may have been another.
    return min(by_clock, up.seconds)


def wait_for_quarantine(intents: list[Intent]) -> None:
    """Return when no unresolved call can take effect any more.

    Raises:
        WaitUntil: one still can; until then nothing may be imported into that name.

    """
    left = max((quarantine_left(intent) for intent in intents), default=0.0)
    if left > 0:
        raise WaitUntil(_("an earlier call to Azure whose outcome is unknown may still take effect"), seconds=left)


def resolve_own_calls(
    run: JobRun, is_done: Callable[[], bool], record: Callable[[RunTransaction], None], *, key: Key | None = None
) -> bool:
    """Resolve this job's own calls of unknown outcome by what the vault shows. Return whether one had its effect.

    ``record`` writes down the effect, in the transaction that resolves the call: a job that is cancelled or
    fails right after must not leave it out. Calls of other jobs stay: they may want the contrary, and their
    effect may still come. ``key`` limits it to the calls about one key, for a job that switches several.

    Raises:
        WaitUntil: the effect is not there, and a lost call may still bring it.

    """
    intents = [intent for intent in unresolved_intents(run) if intent.job_id == run.job.pk]
    intents = [intent for intent in intents if key is None or intent.key_id == key.pk]
    if not intents:
        return False
    done = is_done()
    if not done:
        wait_for_quarantine(intents)
    with run.write() as tx:
        for intent in intents:
            resolve(tx, intent, IntentState.ADOPTED if done else IntentState.VOID)
        if done:
            record(tx)
    return done
