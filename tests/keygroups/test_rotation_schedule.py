"""When rotations fall due, when versions end, and what rotated keys are called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keygroups.fields import MAX_NAME
from keygroups.models import Key
from keygroups.rotation_schedule import add_period, days_in, due_slots, expiry, next_due, rotated_key_name

UNITS = st.sampled_from(["days", "weeks", "months"])
MOMENTS = st.integers(0, 40 * 366 * 86400 * 10**6).map(lambda us: at(2020, 1, 1) + timedelta(microseconds=us))
EVERY = st.integers(1, 120)


def at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


@given(MOMENTS, EVERY, UNITS)
def test_no_period_has_fewer_or_more_days_than_the_bounds(anchor, count, unit) -> None:
    fewest, most = days_in(count, unit)
    assert fewest <= (add_period(anchor, count, unit) - anchor).days <= most


@given(MOMENTS, EVERY, UNITS, st.timedeltas(timedelta(days=-4000), timedelta(days=4000)))
def test_the_next_due_moment_is_the_first_whole_period_after(anchor, every, unit, distance) -> None:
    after = anchor + distance
    due = next_due(anchor, every, unit, after=after)
    number = next(n for n in range(1, 5000) if add_period(anchor, n * every, unit) >= due)
    assert due == add_period(anchor, number * every, unit)
    assert due > after
    assert number == 1 or add_period(anchor, (number - 1) * every, unit) <= after


@given(MOMENTS, st.integers(1, 24), UNITS, st.integers(0, 30))
def test_due_moments_are_the_anchor_plus_whole_periods_without_drift(anchor, every, unit, count) -> None:
    until = add_period(anchor, every * count, unit)
    expected = [add_period(anchor, every * number, unit) for number in range(1, count + 1)]
    assert due_slots(anchor, every, unit, anchor, until) == expected


@given(MOMENTS, st.integers(1, 24), UNITS, st.timedeltas(timedelta(0), timedelta(days=900)))
def test_a_stretch_seen_in_two_parts_has_the_slots_of_the_whole(anchor, every, unit, until) -> None:
    middle, end = anchor + until / 3, anchor + until
    whole = due_slots(anchor, every, unit, anchor, end)
    parts = due_slots(anchor, every, unit, anchor, middle) + due_slots(anchor, every, unit, middle, end)
    assert parts == whole
    assert all(earlier < later for earlier, later in pairwise(whole))


def test_a_schedule_begun_on_the_last_of_january_keeps_to_the_ends_of_months() -> None:
    slots = due_slots(at(2027, 1, 31), 1, "months", at(2027, 1, 31), at(2027, 6, 1))
    assert [f"{slot:%m-%d}" for slot in slots] == ["02-28", "03-31", "04-30", "05-31"]
    assert next_due(at(2028, 1, 31), 1, "months", after=at(2028, 1, 31)) == at(2028, 2, 29)


def test_a_year_of_months_from_a_leap_day_comes_back_to_february() -> None:
    assert next_due(at(2028, 2, 29), 12, "months", after=at(2028, 2, 29)) == at(2029, 2, 28)
    assert next_due(at(2028, 2, 29), 12, "months", after=at(2031, 3, 1)) == at(2032, 2, 29)


def test_the_anchor_itself_is_never_due_and_a_due_moment_is_due_once() -> None:
    anchor = at(2026, 11, 23)
    first = next_due(anchor, 90, "days", after=anchor)
    assert first == anchor + timedelta(days=90)
    assert next_due(anchor, 90, "days", after=first) == anchor + timedelta(days=180)
    assert due_slots(anchor, 90, "days", anchor, first - timedelta(seconds=1)) == []
    assert due_slots(anchor, 90, "days", anchor, first) == [first]
    assert due_slots(anchor, 90, "days", first, first) == []


@given(MOMENTS, st.integers(1, 3650), UNITS)
def test_a_version_ends_one_validity_after_its_push_to_the_second(pushed, valid_for, unit) -> None:
    end = expiry(pushed, valid_for, unit)
    assert end is not None
    assert end.microsecond == 0
    assert timedelta(0) <= add_period(pushed, valid_for, unit) - end < timedelta(seconds=1)


@pytest.mark.parametrize("valid_for", [None, 0])
def test_a_version_without_validity_has_no_end(valid_for) -> None:
    assert expiry(at(2026, 1, 1), valid_for, "days") is None


@given(MOMENTS, st.integers(0, 5))
def test_a_rotated_keys_name_is_new_whatever_is_taken(moment, already) -> None:
    taken: set[str] = set()
    for _ in range(already + 1):
        name = rotated_key_name("Pay-ROLL", moment, taken)
        assert name.casefold() not in taken
        assert name.startswith(f"Pay-ROLL-{moment:%Y%m%d-%H%M%S}")
        taken.add(name.casefold())


def test_the_longest_group_name_still_makes_a_key_name_that_fits() -> None:
    name = rotated_key_name("x" * MAX_NAME, at(2026, 1, 1), set())
    assert len(name) + len("-9999") <= Key._meta.get_field("name").max_length
