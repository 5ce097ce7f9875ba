"""Which moves of keys, versions and groups are possible, and what each leaves behind."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from keygroups import lifecycle
from keygroups.models import CloudVersion, Key, KeyGroup
from keygroups.version_moves import Pushed
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from tests.keygroups.builders import make_key, push

pytestmark = pytest.mark.django_db

# The allowed moves, written independently of the code: from where to where.
MOVES = {
    # Superseded: one of several that arrived together.
    "pushing": {"active", "superseded", "disabled", "failed"},
    "active": {"superseded", "disabled", "soft_deleted", "purged", "missing"},
    "superseded": {"active", "disabled", "soft_deleted", "purged", "missing"},
    "disabled": {"active", "superseded", "soft_deleted", "purged", "missing"},
    "soft_deleted": {"active", "superseded", "disabled", "purged", "missing"},
    "missing": {"active", "superseded", "disabled", "purged"},
    "purged": set(),
    "failed": set(),
}


def states(group):
    return dict(group.cloud_versions.order_by("key__name").values_list("key__name", "state"))


def put(version, state):
    """Put a version into a state by force, as the table test needs each start."""
    CloudVersion.objects.filter(pk=version.pk).update(state=state)
    version.refresh_from_db()


@pytest.mark.parametrize(("start", "target"), list(product(MOVES, MOVES)))
def test_a_version_moves_only_along_the_table(group, start, target) -> None:
    version = lifecycle.begin_push(key=make_key(group))
    put(version, start)
    if target in MOVES[start]:
        lifecycle._move(version, target)
    else:
        with pytest.raises(ConflictError):
            lifecycle._move(version, target)
    seen = version.state
    version.refresh_from_db()
    assert version.state == seen == (target if target in MOVES[start] else start)


def test_no_state_that_lives_is_a_dead_end() -> None:
    """From each state but the final ones a version can reach its end, so that no key stays locked."""
    for state in MOVES:
        reached, open_ones = {state}, [state]
        while open_ones:
            new = MOVES[open_ones.pop()] - reached
            reached |= new
            open_ones += new
        assert reached & {"purged", "failed"}, state


def test_the_newest_push_is_the_only_active_one(group) -> None:
    for name in ("a", "b", "c"):
        push(make_key(group, name))
    assert states(group) == {"a": "superseded", "b": "superseded", "c": "active"}
    group.refresh_from_db()
    assert group.cloud_state == "live"


def test_of_several_that_arrive_together_the_last_is_active(group) -> None:
    push(make_key(group, "a"))
    arrived = [lifecycle.begin_push(key=make_key(group, name)) for name in ("b", "c", "d")]
    at = now()
    lifecycle.record_pushed(
        [
            Pushed(version, f"v{number}", f"kid/v{number}", at + timedelta(seconds=number), number != 1)
            for number, version in enumerate(arrived)
        ]
    )
    assert states(group) == {"a": "superseded", "b": "superseded", "c": "disabled", "d": "active"}
    assert [version.azure_version for version in group.cloud_versions.order_by("pushed_at")[1:]] == ["v0", "v1", "v2"]


def test_when_one_of_several_is_not_on_its_way_none_is_recorded(group) -> None:
    gone, here = (lifecycle.begin_push(key=make_key(group, name)) for name in ("gone", "here"))
    lifecycle.fail_push(key=gone.key)
    with pytest.raises(ConflictError, match="gone"):
        lifecycle.record_pushed([Pushed(version, "v", "kid/v", now(), enabled=True) for version in (gone, here)])
    assert states(group) == {"gone": "failed", "here": "pushing"}


def test_a_version_pushed_switched_off_is_disabled_and_can_be_switched_on(group) -> None:
    version = push(make_key(group), enabled=False)
    assert version.state == "disabled"
    lifecycle.record_enabled(version=version, enabled=True)
    assert states(group) == {"first": "active"}


def test_an_older_version_switched_on_again_is_superseded(group) -> None:
    old = push(make_key(group, "a"))
    push(make_key(group, "b"))
    old.refresh_from_db()
    lifecycle.record_enabled(version=old, enabled=False)
    assert states(group) == {"a": "disabled", "b": "active"}
    lifecycle.record_enabled(version=old, enabled=True)
    assert states(group) == {"a": "superseded", "b": "active"}


def test_a_key_is_on_its_way_once(group) -> None:
    key = make_key(group)
    lifecycle.begin_push(key=key)
    with pytest.raises(ConflictError, match="Synchronizing"):
        lifecycle.begin_push(key=key)


@pytest.mark.parametrize(
    ("state", "again"),
    [
        *((state, False) for state in ("pushing", "active", "superseded", "disabled", "soft_deleted")),
        *((state, True) for state in ("purged", "missing", "failed")),
    ],
)
def test_a_key_can_be_pushed_anew_only_after_its_version_ended(group, state, again) -> None:
    key = make_key(group)
    put(lifecycle.begin_push(key=key), state)
    if again:
        assert lifecycle.begin_push(key=key).state == "pushing"
    else:
        with pytest.raises(ConflictError):
            lifecycle.begin_push(key=key)


def test_a_push_given_up_ends_only_what_was_on_its_way(group) -> None:
    pushed, waiting = make_key(group, "a"), make_key(group, "b")
    push(pushed)
    lifecycle.begin_push(key=waiting)
    lifecycle.fail_push(key=pushed)
    lifecycle.fail_push(key=waiting)
    assert states(group) == {"a": "active", "b": "failed"}


def test_a_deleted_azure_key_comes_back_as_it_was(group) -> None:
    off, _old, _new = (push(make_key(group, name)) for name in ("a", "b", "c"))
    off.refresh_from_db()
    lifecycle.record_enabled(version=off, enabled=False)
    before = states(group)
    lifecycle.record_deleted(group=group, deleted_at=now(), scheduled_purge_at=now() + timedelta(days=90))
    assert set(states(group).values()) == {"soft_deleted"}
    group.refresh_from_db()
    assert group.cloud_state == "soft_deleted"
    lifecycle.record_recovered(group=group)
    assert states(group) == before == {"a": "disabled", "b": "superseded", "c": "active"}
    group.refresh_from_db()
    assert (group.cloud_state, group.scheduled_purge_at) == ("live", None)


def test_of_what_comes_back_none_is_active_while_the_newest_is_disabled(group) -> None:
    _older, newest = (push(make_key(group, name)) for name in ("a", "b"))
    lifecycle.record_enabled(version=newest, enabled=False)
    lifecycle.record_deleted(group=group, deleted_at=now(), scheduled_purge_at=now() + timedelta(days=90))
    lifecycle.record_recovered(group=group)
    assert states(group) == {"a": "superseded", "b": "disabled"}
    newest.refresh_from_db()
    lifecycle.record_enabled(version=newest, enabled=True)
    assert states(group) == {"a": "superseded", "b": "active"}


def test_the_newest_is_the_one_that_came_last_whatever_the_clock_showed(group) -> None:
    older, newest = (push(make_key(group, name)) for name in ("a", "b"))
    # Pushed after the clock was set back by an hour, which is no reason to take it for the older one.
    type(newest).objects.filter(pk=newest.pk).update(pushed_at=now() - timedelta(hours=1))
    for version in (older, newest):
        version.refresh_from_db()
        lifecycle.record_enabled(version=version, enabled=False)
    for version in (newest, older):
        lifecycle.record_enabled(version=version, enabled=True)
    assert states(group) == {"a": "superseded", "b": "active"}


def test_the_newest_that_was_missing_takes_its_place_again(group) -> None:
    newest = [push(make_key(group, name)) for name in ("a", "b")][-1]
    newest.refresh_from_db()
    lifecycle.record_missing(version=newest)
    older = group.cloud_versions.get(key__name="a")
    lifecycle.record_enabled(version=older, enabled=False)
    lifecycle.record_enabled(version=older, enabled=True)
    assert states(group) == {"a": "active", "b": "missing"}
    lifecycle.record_enabled(version=newest, enabled=True)
    assert states(group) == {"a": "superseded", "b": "active"}


def test_deletion_without_a_purge_date_and_purge_end_everything(group) -> None:
    key = make_key(group)
    push(key)
    lifecycle.record_deleted(group=group, deleted_at=now(), scheduled_purge_at=None)
    assert states(group) == {"first": "purged"}
    push(key)
    lifecycle.record_deleted(group=group, deleted_at=now(), scheduled_purge_at=now())
    lifecycle.record_purged(group=group)
    group.refresh_from_db()
    assert group.cloud_state == "purged"
    assert set(group.cloud_versions.values_list("state", flat=True)) == {"purged"}


def test_a_key_is_destroyed_once_and_nothing_of_its_private_half_stays(group) -> None:
    key = make_key(group)
    push(key)
    lifecycle.destroy_key(key=key)
    key.refresh_from_db()
    assert (key.state, bytes(key.wrapped_private)) == ("destroyed", b"")
    assert key.destroyed_at is not None
    assert states(group) == {"first": "active"}
    with pytest.raises(ConflictError):
        lifecycle.destroy_key(key=key)
    with pytest.raises(ConflictError):
        lifecycle.begin_push(key=key)


def test_a_key_on_its_way_is_not_destroyed(group) -> None:
    key = make_key(group)
    lifecycle.begin_push(key=key)
    with pytest.raises(ConflictError, match="being synchronized"):
        lifecycle.destroy_key(key=key)
    key.refresh_from_db()
    assert bytes(key.wrapped_private) == b"wrapped"


def test_a_push_follows_the_group_as_it_is_stored_now(group, custodian) -> None:
    """Who loaded the key before somebody moved the group must not push to the former place."""
    key = Key.objects.select_related("group").get(pk=make_key(group).pk)
    KeyGroup.objects.filter(pk=group.pk).update(azure_name="elsewhere")
    with pytest.raises(ConflictError, match="changed"):
        lifecycle.begin_push(key=key)
    assert states(group) == {}


def test_the_due_moment_is_moved_by_one_of_two(group) -> None:
    seen = group.next_due_at
    later = seen + timedelta(days=90)
    assert lifecycle.advance_schedule(group=group, seen_due_at=seen, new_due_at=later)
    assert not lifecycle.advance_schedule(group=group, seen_due_at=seen, new_due_at=later)


def test_a_rotation_is_recorded_when_it_succeeded(group) -> None:
    moment = now()
    lifecycle.record_rotated(group=group, at=moment)
    group.refresh_from_db()
    assert group.last_rotated_at == moment
