"""The comparison of a version with what the vault shows: it flags exactly what differs, whatever the values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from keygroups.choices import Drift
from keygroups.drift import Seen, compare, console_tags
from keygroups.fields import own_tags
from keygroups.models import CloudVersion, Key

MOMENTS = st.one_of(st.none(), st.datetimes(timezones=st.just(UTC)))
OPERATIONS = st.lists(st.sampled_from(["sign", "verify", "encrypt", "decrypt", "wrapKey", "unwrapKey"]), unique=True)
TAGS = st.dictionaries(st.sampled_from(["owner", "environment", "kmes-note"]), st.text(max_size=5), max_size=3)


def known_version(**values):
    """A version as it was recorded at its push; no row is written."""
    key = Key(thumbprint="a" * 64, public_spki=b"public", name="one")
    return CloudVersion(key=key, azure_version="v1", **values)


def as_known(version):
    """What the vault shows when nothing differs."""
    return Seen(
        azure_version="v1",
        kid="",
        enabled=version.enabled,
        expires_on=version.expires_at,
        operations=list(version.operations),
        tags={**(version.tags or {}), **console_tags(version), "kmes-job": "7F3KQ2"},
        public_spki=b"public",
    )


@given(enabled=st.booleans(), expires=MOMENTS, operations=OPERATIONS, tags=TAGS)
def test_what_is_as_it_was_pushed_is_never_flagged(enabled, expires, operations, tags) -> None:
    version = known_version(enabled=enabled, expires_at=expires, operations=operations, tags=own_tags(tags))
    assert compare(version, as_known(version)) == []


@given(
    before=st.tuples(st.booleans(), MOMENTS, OPERATIONS, TAGS),
    after=st.tuples(st.booleans(), MOMENTS, OPERATIONS, TAGS),
)
def test_exactly_what_differs_is_flagged(before, after) -> None:
    version = known_version(enabled=before[0], expires_at=before[1], operations=before[2], tags=own_tags(before[3]))
    seen = replace(
        as_known(version),
        enabled=after[0],
        expires_on=after[1],
        operations=after[2],
        tags={**after[3], **console_tags(version)},
    )
    wanted = {
        Drift.ENABLED: before[0] != after[0],
        Drift.EXPIRY: before[1] != after[1],
        # Operations that were never recorded can't differ.
        Drift.OPERATIONS: bool(before[2]) and set(before[2]) != set(after[2]),
        Drift.TAGS: own_tags(before[3]) != own_tags(after[3]),
    }
    assert set(compare(version, seen)) == {flag for flag, differs in wanted.items() if differs}


def test_the_consoles_own_tags_count_and_another_public_half_is_the_gravest() -> None:
    version = known_version(enabled=True, expires_at=datetime(2031, 1, 1, tzinfo=UTC), operations=["sign"], tags={})
    shown = as_known(version)
    assert compare(version, replace(shown, tags={})) == [Drift.TAGS]
    assert compare(version, replace(shown, public_spki=b"another")) == [Drift.MATERIAL]
    assert compare(None, shown) == [Drift.UNKNOWN]
