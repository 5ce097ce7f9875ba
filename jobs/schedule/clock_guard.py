"""Watches the clock by which rotations are due, and holds scheduled rotations while it can't be trusted.

Only rotations that the schedule begins are held; those that a user requests go on. How a clock jump is told
from a pause of the console is decided in docs/decisions/0007-told-by-uptime.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from jobs.choices import HoldReason
from jobs.engine import lifecycle
from jobs.models import ClockWitness, ScheduleClock
from keygroups.models import KeyGroup
from keygroups.rotation_slots import count_begun_since
from kmes.accounts.rights import Right, check
from kmes.core import clock, language, options
from kmes.core.actor import SCHEDULE, Actor
from kmes.core.errors import ConflictError
from kmes.core.guarded_changes import require_approval
from logging_reports.services import record

BACKWARD = timedelta(seconds=5)
FORWARD = timedelta(hours=1)
# Clocks of two machines may differ by this much before one of them counts as wrong.
APART = timedelta(minutes=1)
STEADY = timedelta(minutes=10)
# A machine that was silent for this long will not come back under the same boot id.
FORGET_WITNESS = timedelta(days=400)
_CLOCK_REASONS = frozenset({HoldReason.CLOCK_BACK, HoldReason.CLOCK_FORWARD, HoldReason.LONG_SILENCE})


@dataclass(frozen=True)
class Witness:
    """Clock and uptime of one machine, read together."""

    at: datetime
    uptime_seconds: float


def judge(
    *, moment: datetime, uptime_seconds: float, witness: Witness | None, last_tick_at: datetime | None
) -> HoldReason | None:
    """Return how the clock went wrong since the last tick; None when it went right.

    ``witness`` is the last reading of this machine since it booted; without it only the time since is known.
    """
    if last_tick_at is None:
        return None
    silence = moment - last_tick_at
    if witness is None:
        if silence < -BACKWARD:
            return HoldReason.CLOCK_BACK
        return HoldReason.LONG_SILENCE if silence > FORWARD else None
    drift = (moment - witness.at) - timedelta(seconds=uptime_seconds - witness.uptime_seconds)
    if drift < -BACKWARD or silence < -APART:
        return HoldReason.CLOCK_BACK
    return HoldReason.CLOCK_FORWARD if drift > FORWARD else None


def tick() -> bool:
    """Check the clock. Return whether scheduled rotations may go on."""
    moment, up = clock.now(), clock.uptime()
    with transaction.atomic():
        watch = _lock_clock()
        witness = ClockWitness.objects.filter(boot_id=up.boot_id).first() if up else None
        fault = judge(
            moment=moment,
            uptime_seconds=up.seconds if up else 0.0,
            witness=Witness(witness.at, witness.uptime_seconds) if witness else None,
            last_tick_at=watch.last_tick_at,
        )
        if up:
            ClockWitness.objects.update_or_create(
                boot_id=up.boot_id, defaults={"at": moment, "uptime_seconds": up.seconds}
            )
            ClockWitness.objects.filter(at__lt=moment - FORGET_WITNESS).delete()
        if fault is not None:
            _hold_for_clock(watch, fault, moment)
            if fault == HoldReason.CLOCK_BACK:
                lifecycle.recheck_waiting()
        elif watch.held_since and watch.held_reason in _CLOCK_REASONS and _is_steady(watch, moment):
            _release(watch, SCHEDULE, "The clock went steadily for 10 minutes: scheduled rotations go on")
        watch.last_tick_at = moment
        watch.save()
    return watch.held_since is None


def allowance() -> int:
    """Return how many scheduled rotations may still begin in this minute."""
    since = clock.now() - timedelta(minutes=1)
    return max(0, int(options.value("rotations_per_minute")) - count_begun_since(since))


def hold(reason: HoldReason, *, actor: Actor) -> None:
    """Hold scheduled rotations until somebody confirms them."""
    with transaction.atomic():
        watch = _lock_clock()
        watch.held_since, watch.held_reason, watch.steady_since = clock.now(), reason, None
        # Earlier readings belong to another time or another machine.
        watch.last_tick_at = None
        watch.save()
        ClockWitness.objects.all().delete()
        record("schedule.held", actor=actor, message=f"Scheduled rotations wait: {language.recorded(reason.label)}")


def confirm(*, actor: Actor) -> None:
    """Let scheduled rotations go on. After a restore a policy can make that wait for others (docs/approvals.md).

    Raises:
        ConflictError: they are not held.

    """
    check(actor, Right.KEY_ROTATE)
    with transaction.atomic():
        watch = _lock_clock()
        if watch.held_since is None:
            raise ConflictError(_("Scheduled rotations are not held."), _("Reload the page."))
        if watch.held_reason == HoldReason.RESTORED:
            require_approval("schedule.resume", {"held_since": watch.held_since.isoformat()}, actor=actor)
        _release(watch, actor, f"{actor.name} let scheduled rotations go on")
        watch.save()


def count_due() -> int:
    """Count the key groups whose rotation is due by the present clock."""
    return KeyGroup.objects.filter(rotate=True, next_due_at__lte=clock.now()).count()


def read_clock() -> ScheduleClock:
    """Return the state of the schedule's clock; an unsaved row when the schedule never ran."""
    return ScheduleClock.objects.first() or ScheduleClock()


def _lock_clock() -> ScheduleClock:
    ScheduleClock.objects.get_or_create(pk=1)
    return ScheduleClock.objects.select_for_update().get(pk=1)


def _is_steady(watch: ScheduleClock, moment: datetime) -> bool:
    return watch.steady_since is not None and moment - watch.steady_since >= STEADY


def _hold_for_clock(watch: ScheduleClock, fault: HoldReason, moment: datetime) -> None:
    last = f"{watch.last_tick_at:%Y-%m-%d %H:%M:%S}" if watch.last_tick_at else "–"
    record(
        "schedule.clock_jump",
        actor=SCHEDULE,
        message=(
            f"{language.recorded(fault.label)} (last look {last}, now {moment:%Y-%m-%d %H:%M:%S}): "
            "scheduled rotations wait"
        ),
        data={"reason": fault.value, "last_tick_at": last, "now": moment.isoformat()},
    )
    watch.steady_since = moment
    # A clock must not weaken a hold that a person has to confirm.
    if watch.held_since is None or watch.held_reason in _CLOCK_REASONS:
        watch.held_since, watch.held_reason = moment, fault


def _release(watch: ScheduleClock, actor: Actor, text: str) -> None:
    record("schedule.released", actor=actor, message=text)
    watch.held_since, watch.held_reason, watch.steady_since = None, "", None
