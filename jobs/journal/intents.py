"""The ledger of mutating calls: announced before, resolved after, never repeated blindly.

Azure has no idempotency token: an import whose answer got lost may have made a version, or may
still make one. An intent that is pending from an earlier run, or unknown, therefore bars a
repeat until the quarantine is over (RELIABILITY.md, 4.3; docs/decisions/0003).

It is counted by the machine's uptime, not by its clock: a clock that is set an hour ahead must not end a
quarantine that has just begun (docs/decisions/0011-quarantine-by-uptime.md).

The quarantine counts from the last moment at which the request can have left its worker. An
announcement is good for KMES_SEND_SECONDS; a call that leaves later, because it waited out a
throttled vault or because its worker stood still, is announced anew first, and the connection
itself refuses to send what is too late (``cloudcreds.provider.send_deadline``).
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
from jobs.choices import IntentState
from jobs.engine.run import JobRun, WaitUntil
from jobs.models import Intent
from keygroups.models import Key
from kmes.core import clock
from kmes.core.clock import now

OPEN_STATES = (IntentState.PENDING, IntentState.UNKNOWN)


def announce(run: JobRun, operation: str, *, key: Key | None = None) -> Intent:
    """Write down a call that is about to be made. Call inside ``run.write()``."""
    (intent,) = announce_all(run, operation, [key])
    return intent


def announce_all(run: JobRun, operation: str, keys: Sequence[Key | None]) -> list[Intent]:
    """Write down calls that are about to be made, one per key. Call inside ``run.write()``."""
    sent = _moment()
    return Intent.objects.bulk_create(
        Intent(
            job=run.job,
            fence=run.held.fence,
            operation=operation,
            azure_lock=run.job.azure_lock,
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


def resolve(intent: Intent, state: IntentState, *, kid: str = "") -> None:
    """Write down what became of a call. Call inside ``run.write()``."""
    resolve_all([(intent, kid)], state)


def resolve_all(intents: Sequence[tuple[Intent, str]], state: IntentState) -> None:
    """Write down that some calls, each with the key identifier it gave, came out alike. Call inside ``run.write()``."""
    moment = now()
    for intent, kid in intents:
        intent.state, intent.kid, intent.resolved_at = state, kid, moment
    named = [intent for intent, kid in intents if kid]
    Intent.objects.filter(pk__in=[intent.pk for intent, _kid in intents]).update(state=state, resolved_at=moment)
    Intent.objects.bulk_update(named, ["kid"])


@dataclass
class _Call:
    """An announced call while it is being made."""

    intent: Intent
    send_by: SendBy

    def renew(self) -> None:
        """Announce the call from now on: what was tried so far had no effect."""
        self.send_by = SendBy.within(settings.KMES_SEND_SECONDS)
        sent = _moment()
        for name, value in sent.items():
            setattr(self.intent, name, value)
        Intent.objects.filter(pk=self.intent.pk).update(**sent)


@contextmanager
def announced(run: JobRun, intent: Intent) -> Iterator[None]:
    """Make the announced call in the body; a failure resolves it: refused when it had no effect, else unknown.

    Raises:
        WaitUntil: the outcome is unknown; the job looks again after the quarantine.
        LeaseLost: another worker took the job over before the call could be made.

    """
    run.reach(f"before_{intent.operation}")
    # In this order: a pause between the two lines makes the moment earlier, never later.
    send_by = SendBy.within(settings.KMES_SEND_SECONDS)
    run.announced_call = _Call(intent, send_by.earlier(seconds_since(intent)))
    try:
        yield
        run.reach(f"after_{intent.operation}")
    except CloudError as error:
        with run.write():
            resolve(intent, IntentState.UNKNOWN if error.effect_unknown else IntentState.REFUSED)
        if error.effect_unknown:
            raise WaitUntil(
                _("the outcome of a call to Azure is unknown (%(why)s); looking again before anything is repeated")
                % {"why": error.what},
                seconds=quarantine_left(intent),
            ) from error
        raise
    finally:
        run.announced_call = None


def open_intents(run: JobRun) -> list[Intent]:
    """Return the unresolved calls on the job's Azure key, of this job or any other, oldest first."""
    return list(Intent.objects.filter(azure_lock=run.job.azure_lock, state__in=OPEN_STATES).select_related("key"))


def quarantine_left(intent: Intent) -> float:
    """Return for how many seconds an unresolved call may still take effect."""
    left_after, quarantine = float(settings.KMES_SEND_SECONDS), float(settings.KMES_UNKNOWN_QUARANTINE_SECONDS)
    if intent.resolved_at is not None:
        # Its worker got no answer then, so it had left before; unless the clock was set in between.
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


def _nothing() -> None:
    """Record nothing."""


def settle(run: JobRun, is_done: Callable[[], bool], record: Callable[[], None] = _nothing) -> bool:
    """Resolve this job's own calls of unknown outcome by what the vault shows. Return whether one did its work.

    ``record`` writes down what it did, in the transaction that resolves it: a job that is cancelled or fails
    right after must not leave it out. Only calls of this job: another job's may want the contrary, and what it wanted may still come.

    Raises:
        WaitUntil: what is wanted is not there, and a lost call may still bring it.

    """
    intents = [intent for intent in open_intents(run) if intent.job_id == run.job.pk]
    if not intents:
        return False
    done = is_done()
    if not done:
        wait_for_quarantine(intents)
    with run.write():
        for intent in intents:
            resolve(intent, IntentState.ADOPTED if done else IntentState.VOID)
        if done:
            record()
    return done
