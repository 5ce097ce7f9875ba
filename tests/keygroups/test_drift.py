"""The comparison of a version with what the vault shows: it flags exactly what differs, whatever the values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keygroups.choices import Drift
from keygroups.drift import Seen, compare, console_tags
from keygroups.fields import own_tags
from keygroups.models import CloudVersion, Key

MOMENTS = st.one_of(st.none(), st.datetimes(timezones=st.just(UTC)))
OPERATIONS = st.lists(st.sampled_from(["sign", "verify", "encrypt", "decrypt", "wrapKey", "unwrapKey"]), unique=True)
TAGS = st.dictionaries(st.sampled_from(["owner", "environment", "kmes-note"]), st.text(max_size=5), max_size=3)


# Enabled, expiry, not-before, operations, tags.
WANTED = st.tuples(st.booleans(), MOMENTS, MOMENTS, OPERATIONS, TAGS)


def wanted_version(wanted):
    """A version that is wanted so in the vault; no row is written."""
    key = Key(thumbprint="a" * 64, public_spki=b"public", name="one")
    enabled, expires_at, not_before, operations, tags = wanted
    return CloudVersion(
        key=key,
        azure_version="v1",
        wanted_enabled=enabled,
        wanted_expires_at=expires_at,
        wanted_not_before=not_before,
        operations=operations,
        tags=own_tags(tags),
    )


def as_known(version):
    """What the vault shows when nothing differs."""
    return Seen(
        azure_version="v1",
        kid="",
        enabled=version.wanted_enabled,
        expires_on=version.wanted_expires_at,
        not_before=version.wanted_not_before,
        operations=list(version.operations),
        tags={**(version.tags or {}), **console_tags(version), "kmes-job": "7F3KQ2"},
        public_spki=b"public",
    )


@given(wanted=WANTED)
def test_what_is_as_it_is_wanted_is_never_flagged(wanted) -> None:
    version = wanted_version(wanted)
    assert compare(version, as_known(version)) == []


@given(before=WANTED, after=WANTED)
def test_exactly_what_differs_is_flagged(before, after) -> None:
    version = wanted_version(before)
    seen = replace(
        as_known(version),
        enabled=after[0],
        expires_on=after[1],
        not_before=after[2],
        operations=after[3],
        tags={**after[4], **console_tags(version)},
    )
    wanted = {
        Drift.ENABLED: before[0] != after[0],
        Drift.EXPIRY: before[1] != after[1],
        Drift.NOT_BEFORE: before[2] != after[2],
        # Operations that were never recorded can't differ.
        Drift.OPERATIONS: bool(before[3]) and set(before[3]) != set(after[3]),
        Drift.TAGS: own_tags(before[4]) != own_tags(after[4]),
    }
    assert set(compare(version, seen)) == {flag for flag, differs in wanted.items() if differs}


def test_the_consoles_own_tags_count_and_another_public_half_is_the_gravest() -> None:
    version = wanted_version((True, datetime(2031, 1, 1, tzinfo=UTC), None, ["sign"], {}))
    shown = as_known(version)
    assert compare(version, replace(shown, tags={})) == [Drift.TAGS]
    assert compare(version, replace(shown, public_spki=b"another")) == [Drift.MATERIAL]
    assert compare(None, shown) == [Drift.UNKNOWN]


@pytest.mark.parametrize(("seconds", "flags"), [(1, [Drift.NOT_BEFORE]), (0, []), (-3600, [])])
def test_a_start_that_had_passed_when_the_version_was_made_restricts_nothing(seconds, flags) -> None:
    made = datetime(2031, 1, 1, tzinfo=UTC)
    version = wanted_version((True, None, None, ["sign"], {}))
    seen = replace(as_known(version), created_on=made, not_before=made + timedelta(seconds=seconds))
    assert compare(version, seen) == flags
