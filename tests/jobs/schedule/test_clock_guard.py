"""The clock that rotations fall due by: a jump holds the schedule, a pause of the console does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F
from django.test import Client

from cloudcreds.models import CloudCredential, KeyVault
from hsm.models import HsmDevice
from jobs.choices import HoldReason
from jobs.kinds.rotate.spec import request_rotation
from jobs.models import ClockWitness, ScheduleClock
from jobs.schedule import clock_guard, scans
from jobs.schedule.clock_guard import Witness, judge
from keygroups import lifecycle
from keygroups.models import KeyGroup, RotationSlot
from kmes.core.actor import SYSTEM, Actor
from kmes.core.clock import now
from logging_reports.models import LogEntry
from tests.jobs.pages.browsing import ROLES, body, pages, people, static_root

__all__ = ["pages", "people", "static_root"]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
URL = "/administration/configuration/schedule/"


# --- Judging ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("clock_went", "uptime_went", "wanted"),
    [
        (MINUTE, MINUTE, None),
        (MINUTE, MINUTE + timedelta(seconds=4), None),
        (-MINUTE, MINUTE, HoldReason.CLOCK_BACK),
        (MINUTE, MINUTE + timedelta(seconds=6), HoldReason.CLOCK_BACK),
        (timedelta(minutes=59), MINUTE, None),
        (timedelta(minutes=62), MINUTE, HoldReason.CLOCK_FORWARD),
        (365 * DAY, MINUTE, HoldReason.CLOCK_FORWARD),
        # The console was down, or the machine slept: clock and uptime agree.
        (3 * DAY, 3 * DAY, None),
        (3 * DAY + 2 * HOUR, 3 * DAY, HoldReason.CLOCK_FORWARD),
    ],
)
def test_on_a_machine_that_stayed_up_its_uptime_tells_a_jump_from_a_pause(clock_went, uptime_went, wanted):
    witness = Witness(NOON, 1000.0)
    moment, uptime = NOON + clock_went, 1000.0 + uptime_went.total_seconds()
    assert judge(moment=moment, uptime_seconds=uptime, witness=witness, last_tick_at=NOON) == wanted


@pytest.mark.parametrize(
    ("silence", "wanted"),
    [
        (MINUTE, None),
        (timedelta(minutes=59), None),
        (timedelta(seconds=-4), None),
        (timedelta(seconds=-6), HoldReason.CLOCK_BACK),
        (3 * DAY, HoldReason.LONG_SILENCE),
    ],
)
def test_on_a_machine_that_restarted_only_the_silence_is_known(silence, wanted):
    assert judge(moment=NOON + silence, uptime_seconds=5, witness=None, last_tick_at=NOON) == wanted


def test_another_machine_whose_clock_is_far_ahead_is_noticed():
    witness = Witness(NOON, 1000.0)
    far, near = NOON + 3 * MINUTE, NOON + timedelta(seconds=80)
    ask = {"moment": NOON + MINUTE, "uptime_seconds": 1060.0, "witness": witness}
    assert judge(**ask, last_tick_at=far) == HoldReason.CLOCK_BACK
    assert judge(**ask, last_tick_at=near) is None


# --- Ticking ---------------------------------------------------------------------------------
def went_by(clock_went: timedelta, uptime_went: timedelta) -> None:
    """Let the last look lie back by the clock, and by the machine's uptime."""
    ScheduleClock.objects.update(
        last_tick_at=F("last_tick_at") - clock_went, steady_since=F("steady_since") - clock_went
    )
    ClockWitness.objects.update(
        at=F("at") - clock_went, uptime_seconds=F("uptime_seconds") - uptime_went.total_seconds()
    )


def events() -> list[str]:
    return list(LogEntry.objects.filter(event__startswith="schedule.").order_by("id").values_list("event", flat=True))


@pytest.mark.django_db
def test_the_first_look_and_steady_looks_hold_nothing():
    for _look in range(3):
        assert clock_guard.tick()
        went_by(MINUTE, MINUTE)
    assert events() == []


@pytest.mark.django_db
def test_a_jump_is_logged_once_and_holds_until_ten_steady_minutes_have_passed():
    clock_guard.tick()
    went_by(365 * DAY, MINUTE)
    assert not clock_guard.tick()
    for _look in range(9):
        went_by(MINUTE, MINUTE)
        assert not clock_guard.tick()
    went_by(MINUTE, MINUTE)
    assert clock_guard.tick()
    assert events() == ["schedule.clock_jump", "schedule.released"]
    assert LogEntry.objects.get(event="schedule.clock_jump").severity == "error"


@pytest.mark.django_db
def test_a_second_jump_begins_the_ten_minutes_anew():
    clock_guard.tick()
    went_by(2 * HOUR, MINUTE)
    assert not clock_guard.tick()
    went_by(9 * MINUTE, 9 * MINUTE)
    assert not clock_guard.tick()
    went_by(-2 * HOUR, MINUTE)
    assert not clock_guard.tick()
    went_by(9 * MINUTE, 9 * MINUTE)
    assert not clock_guard.tick()
    went_by(2 * MINUTE, 2 * MINUTE)
    assert clock_guard.tick()


@pytest.mark.django_db
def test_three_days_without_the_console_hold_nothing():
    clock_guard.tick()
    went_by(3 * DAY, 3 * DAY)
    assert clock_guard.tick()
    assert events() == []


@pytest.mark.django_db
def test_three_days_without_the_machine_hold_for_ten_minutes_only():
    clock_guard.tick()
    went_by(3 * DAY, 3 * DAY)
    ClockWitness.objects.update(boot_id="the life before")
    assert not clock_guard.tick()
    went_by(10 * MINUTE, 10 * MINUTE)
    assert clock_guard.tick()


@pytest.mark.django_db
def test_a_hold_after_a_restore_waits_for_a_person_however_steady_the_clock(people):
    clock_guard.hold(HoldReason.RESTORED, actor=SYSTEM)
    for _look in range(3):
        assert not clock_guard.tick()
        went_by(HOUR, HOUR)
    clock_guard.confirm(actor=Actor.from_user(people["operator"]))
    assert clock_guard.tick()
    assert events() == ["schedule.held", "schedule.released"]


# --- Rotations -------------------------------------------------------------------------------
@pytest.fixture
def due(db):
    """Three groups whose rotation is due; nothing here asks the device or Azure."""
    HsmDevice.objects.create(serial="S-1", label="KMES", mfk_public_spki=b"x", is_designated=True)
    credential = CloudCredential.objects.create(
        name="Contoso", tenant_id="t", client_id="c", sealed_secret=b"sealed", secret_set_at=now()
    )
    vault = KeyVault.objects.create(credential=credential, name="kv", url="https://kv.invalid", tier="premium")
    for name in ("a", "b", "c"):
        group = KeyGroup.objects.create(
            name=name, key_spec="P-256", credential=credential, vault=vault, azure_name=name, rotate=True
        )
        lifecycle.schedule_rotation(group=group, anchor_at=now() - 91 * DAY)


def test_a_clock_that_jumped_begins_no_rotation_and_what_was_due_follows_when_released(due, people):
    clock_guard.tick()
    went_by(365 * DAY, MINUTE)
    assert scans.scan_rotations() == []
    assert not RotationSlot.objects.exists()
    clock_guard.confirm(actor=Actor.from_user(people["custodian"]))
    went_by(MINUTE, MINUTE)
    assert len(scans.scan_rotations()) == 3


def test_a_person_may_rotate_while_the_schedule_is_held(due, people):
    clock_guard.hold(HoldReason.RESTORED, actor=SYSTEM)
    job = request_rotation(group=KeyGroup.objects.get(name="a"), actor=Actor.from_user(people["operator"]))
    assert job.state == "queued"


def test_no_more_rotations_begin_in_a_minute_than_the_option_says(due, settings):
    settings.KMES_ROTATIONS_PER_MINUTE = 2
    assert len(scans.scan_rotations()) == 2
    assert scans.scan_rotations() == []
    RotationSlot.objects.update(created_at=now() - 2 * MINUTE)
    assert len(scans.scan_rotations()) == 1


def test_the_option_alone_limits_how_many_begin(due, settings):
    first = KeyGroup.objects.get(name="a")
    settings.KMES_ROTATIONS_PER_MINUTE = 250
    KeyGroup.objects.bulk_create(
        KeyGroup(
            name=f"many-{number}",
            azure_name=f"many-{number}",
            key_spec="P-256",
            credential=first.credential,
            vault=first.vault,
            rotate=True,
            rotation_anchor_at=first.rotation_anchor_at,
            next_due_at=first.next_due_at,
        )
        for number in range(240)
    )
    assert len(scans.scan_rotations()) == 243


# --- Pages -----------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize("role", ROLES)
def test_who_may_rotate_lets_rotations_go_on(client, people, role):
    clock_guard.hold(HoldReason.RESTORED, actor=SYSTEM)
    client.force_login(people[role])
    page = body(client.get(URL))
    assert "Scheduled rotations are held." in page
    may = role != "auditor"
    assert ("confirm/" in page) == may
    answer = client.post(f"{URL}confirm/")
    assert answer.status_code == (302 if may else 403)
    assert (ScheduleClock.objects.get().held_since is None) == may


@pytest.mark.django_db
def test_confirming_says_what_follows_and_only_what_is_held_can_be_confirmed(pages, people, due):
    assert "are not held" in body(pages.get(f"{URL}confirm/"))
    assert pages.post(f"{URL}confirm/").status_code == 409
    clock_guard.hold(HoldReason.RESTORED, actor=SYSTEM)
    assert "3 key groups are due" in body(pages.get(f"{URL}confirm/"))
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["admin"])
    assert strict.post(f"{URL}confirm/").status_code == 403


@pytest.mark.django_db
def test_the_page_stays_cheap(pages, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        pages.get(URL)
