"""What the sentence about a group's policy warns of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keygroups.choices import PeriodUnit
from keygroups.policy import LEAST_SPARE_DAYS, Policy, describe

COUNTS = st.integers(1, 400)
UNITS = st.sampled_from(PeriodUnit.values)


def warnings(every, unit, valid_for, valid_unit, *, rotate=True):
    said = describe(
        Policy(
            rotate=rotate,
            rotate_every=every,
            rotate_unit=unit,
            next_due_at=None,
            valid_for=valid_for,
            valid_unit=valid_unit,
            vault_name="kv-prod",
            refusals=[],
            tier="premium",
        )
    )
    return " ".join(said.warnings)


@pytest.mark.parametrize(
    ("every", "unit", "valid_for", "valid_unit"),
    [(1, "months", 28, "days"), (1, "months", 30, "days"), (90, "days", 3, "months"), (2, "months", 1, "months")],
)
def test_a_validity_too_short_in_the_worst_months_is_warned_of(every, unit, valid_for, valid_unit) -> None:
    assert "expire before their successor is due" in warnings(every, unit, valid_for, valid_unit)


@pytest.mark.parametrize(
    ("every", "unit", "valid_for", "valid_unit"),
    [(1, "months", 1, "months"), (90, "days", 90, "days"), (12, "weeks", 84, "days"), (1, "months", 31, "days")],
)
def test_a_validity_that_leaves_no_time_to_try_again_is_warned_of(every, unit, valid_for, valid_unit) -> None:
    assert f"within {LEAST_SPARE_DAYS} days" in warnings(every, unit, valid_for, valid_unit)


@pytest.mark.parametrize(
    ("every", "unit", "valid_for", "valid_unit"),
    [(90, "days", 93, "days"), (1, "months", 34, "days"), (1, "months", 2, "months"), (1, "weeks", 1, "months")],
)
def test_a_validity_with_time_to_spare_is_not(every, unit, valid_for, valid_unit) -> None:
    assert warnings(every, unit, valid_for, valid_unit) == ""


@given(COUNTS, UNITS, COUNTS, UNITS)
def test_keys_that_nothing_replaces_are_warned_of_whatever_the_periods(every, unit, valid_for, valid_unit) -> None:
    assert "nothing replaces them" in warnings(every, unit, valid_for, valid_unit, rotate=False)
