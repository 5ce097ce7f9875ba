"""A vault whose lists and answers lag behind: a version is missing, or a change made, only when the vault says so itself."""

from __future__ import annotations

import time

import pytest

from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.set_enabled.spec import request_set_enabled
from tests.damaged_answers.harness import KEY, ONE_VERSION, VERSIONS, made_versions_agree
from tests.faults.operations import NAME
from tests.faults.relay.damages import Damage, edited, envelope
from tests.faults.world import QUARANTINE_SECONDS, SEND_SECONDS
from tests.jobs.approving import make_approvers, set_policy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


def without_versions(*versions):
    """Damage that leaves versions out of a list; all of them when none is named."""

    def change(_call, document):
        kept = [row for row in document["value"] if versions and not row["kid"].endswith(versions)]
        return document | {"value": kept}

    return edited(change)


def stored(world, version=""):
    """Damage that answers with what the vault says of a version now, as a cache does later."""
    kept = []

    def keep(_call, body):
        kept.append(body)
        return body

    world.damage(Damage(edit=keep), "GET", f"{KEY}/{version}" if version else KEY)
    world.compare()
    assert kept, "the comparison reads it"
    return Damage(edit=lambda _call, _body: kept[0])


def test_a_version_that_a_list_leaves_out_is_not_missing_and_is_not_imported_again(world):
    world.push_one()
    world.damage(without_versions(), "GET", VERSIONS, count=None)
    job = world.compare()
    assert world.states() == {"first": "active"}
    assert "missing" not in world.words(job)
    world.synchronize_all()
    made_versions_agree(world)


def test_a_version_that_was_called_missing_is_asked_for_before_its_key_is_imported(world):
    key = world.push_one()
    key.cloud_versions.update(state="missing")
    world.damage(without_versions(), "GET", VERSIONS, count=None)
    world.rest(world.push(key))
    world.calm()
    assert world.states() == {"first": "active"}
    made_versions_agree(world)


def test_an_import_in_doubt_that_no_list_shows_yet_is_not_repeated(world):
    first = world.push_one()
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage(Damage(cut=40), "PUT", KEY)
    world.work(job)
    world.damage(without_versions(world.current()), "GET", VERSIONS, count=None)
    world.rest(job)
    world.calm()
    assert job.state == "succeeded", world.words(job)
    assert world.states() == {first.name: "superseded", key.name: "active"}
    made_versions_agree(world)


def test_an_import_in_doubt_is_not_repeated_while_the_list_lacks_a_later_version(world):
    first = world.push_one()
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage(Damage(cut=40), "PUT", KEY)
    world.work(job)
    ours = world.current()
    # Somebody else's version came after it, and hides it behind the current one.
    world.vault.client.create_rsa_key(NAME, size=2048)
    world.damage(without_versions(ours, world.current()), "GET", VERSIONS, count=2)
    world.rest(job)
    assert world.counts()[key.thumbprint] == 1, world.words(job)
    assert world.states()[first.name] == "superseded"


def test_a_version_that_a_list_shows_twice_is_adopted_once_and_stays_enabled(world):
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage(Damage(cut=40), "PUT", KEY)
    world.work(job)
    world.damage(
        edited(lambda _call, document: document | {"value": document["value"] * 2}), "GET", VERSIONS, count=None
    )
    world.rest(job)
    world.calm()
    assert job.state == "succeeded", world.words(job)
    assert [enabled for _thumbprint, enabled in world.there().values()] == [True]
    assert "second time" not in "".join(world.log_texts())
    made_versions_agree(world)


BY_ID = f"{KEY}/{'?' * 32}"
GONE = envelope(404, "KeyNotFound", "A key with (name/id) payments was not found in this key vault.")


def test_a_listed_version_that_the_vault_says_it_lacks_is_looked_at_again(world):
    world.push_one()
    # Versions that were seen before are not read again.
    world.group.observations.all().delete()
    world.damage(GONE, "GET", BY_ID)
    job = world.compare()
    assert (job.state, world.states()) == ("queued", {"first": "active"})
    world.rest(job)
    assert "No drift" in world.words(job)


def test_an_import_in_doubt_that_only_the_list_shows_is_not_repeated(world):
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage(Damage(cut=40), "PUT", KEY)
    world.work(job)
    time.sleep(QUARANTINE_SECONDS + SEND_SECONDS + 0.2)
    world.damage(GONE, "GET", BY_ID, count=2)
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    made_versions_agree(world)


def test_an_empty_list_does_not_show_that_a_key_is_deleted(world):
    world.push_one()
    world.damage(without_versions(), "GET", VERSIONS, count=None)
    job = request_cloud_delete(group=world.group, actor=world.actor)
    world.work(job)
    world.calm()
    world.rest(job)
    assert world.there() == {}, "the job deletes the key; an empty list is no deletion"
    assert job.state == "succeeded", world.words(job)
    assert world.group.cloud_state == "soft_deleted"


def test_a_current_version_that_lags_is_looked_at_again(world):
    world.push_one()
    before = stored(world)
    (key,) = world.make_keys("two")
    world.damage(before, "GET", KEY, count=2)
    job = world.push(key)
    world.work(job)
    assert job.state == "succeeded", world.words(job)
    made_versions_agree(world)


def test_nobody_else_is_blamed_for_a_current_version_that_stays_behind(world, monkeypatch):
    monkeypatch.setattr("jobs.kinds.push.cycle.LAG_PAUSES", (0,))
    world.push_one()
    before = stored(world)
    (key,) = world.make_keys("two")
    world.damage(before, "GET", KEY, count=None)
    job = world.push(key)
    world.work(job)
    assert "Somebody else" not in world.words(job)
    assert "older version" in job.error_what
    world.calm()
    made_versions_agree(world)


def test_a_comparison_does_not_follow_a_current_version_that_lags(world):
    world.push_one()
    before = stored(world)
    # Their times have whole seconds.
    time.sleep(1.1)
    (key,) = world.make_keys("two")
    world.run(world.push(key))
    world.damage(before, "GET", KEY, count=None)
    job = world.compare()
    assert "No drift" in world.words(job)
    assert world.states() == {"first": "superseded", "two": "active"}


def test_an_answer_that_does_not_show_the_change_is_none(world):
    key = world.push_one()
    before = stored(world, world.current())
    world.damage(before, "PATCH", ONE_VERSION)
    job = request_set_enabled(version=key.cloud_versions.get(), enabled=False, actor=world.actor)
    world.work(job)
    assert job.state == "queued", world.words(job)
    world.rest(job)
    assert (job.state, world.states()) == ("succeeded", {"first": "disabled"})
    made_versions_agree(world)


def test_a_version_that_the_vault_does_not_call_current_yet_is_not_disabled_alone(world):
    make_approvers("ben")
    world.push_one()
    before = stored(world)
    # The vault's times are whole seconds.
    time.sleep(1.1)
    (key,) = world.make_keys("two")
    world.rest(world.push(key))
    set_policy("set_enabled", actor=world.actor)
    second = key.cloud_versions.get()
    type(second).objects.filter(pk=second.pk).update(state="superseded")
    second.refresh_from_db()
    world.damage(before, "GET", KEY, count=None)
    job = request_set_enabled(version=second, enabled=False, actor=world.actor)
    world.work(job)
    assert job.error_code == "approval_void", world.words(job)
    assert world.there()[second.azure_version] == (key.thumbprint, True)
