"""Only a whole answer of the service itself is believed; anything else is unreachable (reading) or unknown (changing)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.journal import kek_sweep
from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.cloud_purge.spec import request_cloud_purge
from jobs.kinds.cloud_recover.spec import request_cloud_recover
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.set_enabled.spec import request_set_enabled
from jobs.models import EphemeralKek
from keygroups import lifecycle
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.clock import now
from tests.damaged_answers.harness import (
    DELETED,
    DELETED_KEKS,
    KEKS,
    KEY,
    LOST_ANSWERS,
    NO_ANSWERS,
    ONE_VERSION,
    VERSIONS,
    each_of,
    made_versions_agree,
)
from tests.faults.relay.damages import HTML, Damage, Framing, When, envelope, page
from tests.jobs.builders import make_keys

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
SOME_LOST = ("cut, looks complete", "200 page", "404 page", "429 page", "409 page")
SOME_MORE_LOST = (*SOME_LOST, "cut, shorter than announced", "cut, no length", "cut, chunked", "302 page", "400 page")
SOME_MORE_LOST = (
    *SOME_MORE_LOST,
    "403 page",
    "407 page",
    "408 page",
    "429 of a gateway",
    "502 page",
    "reset in the body",
    "without times",
    "103",
    "gzip cut",
    "deeply nested",
)
SOME_ANSWERS = (
    "404 page",
    "404 without body",
    "404 of a gateway, as JSON",
    "200 page",
    "200 other JSON",
    "302",
    "407 page",
)
SOME_ANSWERS = (*SOME_ANSWERS, "cut in the middle", "202", "103, then nothing", "gzip that is none", "header of 70 KB")


def disable(world, key, *, enabled=False):
    return request_set_enabled(version=key.cloud_versions.get(), enabled=enabled, actor=world.actor)


# --- readings -----------------------------------------------------------------------------------
@each_of(NO_ANSWERS, SOME_ANSWERS)
def test_a_comparison_that_gets_no_answer_of_the_vault_changes_nothing(world, damage):
    world.push_one()
    world.damage(damage, "GET", VERSIONS, count=None)
    job = world.compare()
    assert job.state != "succeeded"
    assert world.states() == {"first": "active"}
    assert not world.group.observations.filter(is_present=False).exists()
    world.calm()
    assert world.synchronize_all() == []
    made_versions_agree(world)


@each_of(NO_ANSWERS, ("404 page", "404 of a gateway, as JSON", "200 page"))
def test_a_comparison_that_cannot_read_one_version_changes_nothing(world, damage):
    world.push_one()
    world.group.observations.all().delete()
    world.damage(damage, "GET", ONE_VERSION, count=None)
    job = world.compare()
    assert job.state != "succeeded"
    assert world.states() == {"first": "active"}
    assert not world.group.observations.filter(is_present=False).exists()


@each_of(NO_ANSWERS, SOME_ANSWERS[:4])
def test_a_second_page_that_is_no_answer_is_not_the_end_of_the_list(world, damage):
    world.run(world.push(*world.make_keys("one", "two", "three")))
    world.stand_in.control("POST", "/_emulator/settings", {"page_size": 1})
    world.damage(damage, "GET", VERSIONS, query="skiptoken", count=None)
    job = world.compare()
    assert job.state != "succeeded"
    assert sorted(world.states().values()) == ["active", "superseded", "superseded"]
    world.calm()
    assert world.synchronize_all() == []
    made_versions_agree(world)


def test_the_vaults_own_word_about_absence_is_believed(world):
    """The counterpart: what Key Vault itself says is gone is gone."""
    world.push_one()
    world.vault.client.begin_delete_key("payments").wait()
    job = world.compare()
    assert job.state == "succeeded"
    world.group.refresh_from_db()
    assert world.group.cloud_state == "soft_deleted"


@each_of(NO_ANSWERS, ("404 page", "404 of a gateway, as JSON", "404 with other JSON", "200 page"))
def test_a_deleted_key_is_not_purged_because_of_a_strangers_404(world, damage):
    world.push_one()
    world.run(request_cloud_delete(group=world.group, actor=world.actor))
    world.damage(damage, "GET", DELETED, count=None)
    world.patch.setattr("jobs.kinds.azure_key.DELETING_SECONDS", 0)
    job = world.compare()
    world.group.refresh_from_db()
    assert (job.state == "succeeded", world.group.cloud_state) == (False, "soft_deleted")


# --- changes whose answer is lost ---------------------------------------------------------------
@each_of(LOST_ANSWERS, SOME_LOST)
def test_a_switch_whose_answer_is_lost_is_looked_for(world, damage):
    key = world.push_one()
    world.damage(damage, "PATCH", ONE_VERSION)
    job = disable(world, key)
    world.work(job)
    world.calm()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    assert world.states() == {"first": "disabled"}
    made_versions_agree(world)


@each_of(LOST_ANSWERS, SOME_MORE_LOST)
def test_an_import_whose_answer_is_lost_is_adopted(world, damage):
    (key,) = world.make_keys("one")
    world.damage(damage, "PUT", KEY)
    job = world.push(key)
    world.work(job)
    world.calm()
    world.rest(job)
    assert list(world.counts().values()) == [1], "the key stands in the vault more or less than once"
    assert job.state == "succeeded", world.words(job)
    assert world.states() == {"one": "active"}
    made_versions_agree(world)


def test_the_second_of_three_imports_loses_its_answer(world):
    keys = world.make_keys("one", "two", "three")
    world.damage(Damage(cut=40, framing=Framing.SENT), "PUT", KEY, skip=1)
    job = world.push(*keys)
    world.work(job)
    world.calm()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    assert sorted(world.states().values()) == ["active", "superseded", "superseded"]
    made_versions_agree(world)


@each_of(LOST_ANSWERS, SOME_LOST)
def test_a_kek_whose_answer_is_lost_is_looked_for(world, damage):
    (key,) = world.make_keys("one")
    world.damage(damage, "POST", KEKS + "/create")
    job = world.push(key)
    world.work(job)
    world.calm()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    assert world.vault.keks() == []
    made_versions_agree(world)


@each_of(LOST_ANSWERS, SOME_LOST)
def test_a_deletion_whose_answer_is_lost_is_looked_for(world, damage):
    world.push_one()
    world.damage(damage, "DELETE", KEY)
    job = request_cloud_delete(group=world.group, actor=world.actor)
    world.work(job)
    world.calm()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    assert world.group.cloud_state == "soft_deleted"
    assert not any("outside this console" in text for text in world.log_texts())


def test_a_409_of_the_vault_after_the_effect_is_looked_at(world):
    world.push_one()
    damage = envelope(409, "Conflict", "Key is currently being deleted.", inner="ObjectIsBeingDeleted", when=When.AFTER)
    world.damage(damage, "DELETE", KEY)
    job = request_cloud_delete(group=world.group, actor=world.actor)
    world.work(job)
    world.rest(job)
    assert (job.state, world.group.cloud_state) == ("succeeded", "soft_deleted"), world.words(job)


@each_of(LOST_ANSWERS, SOME_LOST)
def test_a_recovery_whose_answer_is_lost_is_looked_for(world, damage):
    world.push_one()
    world.run(request_cloud_delete(group=world.group, actor=world.actor))
    world.damage(damage, "POST", DELETED + "/recover")
    job = request_cloud_recover(group=world.group, actor=world.actor)
    world.work(job)
    world.calm()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    made_versions_agree(world)


@each_of(LOST_ANSWERS, SOME_LOST)
@pytest.mark.parametrize("when", When)
def test_a_purge_is_done_only_when_the_vault_says_so(world, damage, when):
    world.push_one()
    world.run(request_cloud_delete(group=world.group, actor=world.actor))
    if when == When.BEFORE:
        damage = Damage(when=when, status=damage.status or 500, body=damage.body or b"")
    world.damage(damage, "DELETE", DELETED)
    job = request_cloud_purge(group=world.group, actor=world.actor)
    world.work(job)
    world.calm()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    assert world.group.cloud_state == "purged"
    assert not world.vault.is_deleted("payments"), "called purged, and the vault still has it"


def test_a_redirect_during_a_due_rotation_is_not_followed_and_the_rotation_comes(world):
    where = world.relay.url_for(world.stand_in.url) + "/elsewhere"
    job = world.make_due()
    world.damage(Damage(when=When.BEFORE, status=307, body=b"", headers={"Location": where}), "PUT", KEY)
    world.work(job)
    assert "another address" in world.words(job).lower()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    assert world.relay.calls("*", "/elsewhere") == []
    assert world.group.last_rotated_at is not None


def test_an_older_version_that_is_found_late_is_not_the_active_one(world):
    first, second = world.make_keys("one", "two")
    world.damage(Damage(cut=40), "PUT", KEY)
    lost = world.push(first)
    world.work(lost)
    world.rest(world.push(second))
    world.rest(lost)
    if lost.state != "succeeded":
        world.retry(lost)
    assert world.states() == {"one": "superseded", "two": "active"}
    made_versions_agree(world)


def test_a_comparison_asks_which_version_is_current(world):
    """However it came about: when the page calls another version active than the vault, a comparison says so."""
    world.run(world.push(*world.make_keys("one", "two")))
    versions = {row.key.name: row for row in CloudVersion.objects.select_related("key")}
    versions["two"].state, versions["one"].state = "superseded", "active"
    CloudVersion.objects.filter(pk=versions["two"].pk).update(state="superseded", ordinal=1)
    CloudVersion.objects.filter(pk=versions["one"].pk).update(state="active", ordinal=2)
    job = world.compare()
    assert "No drift" not in world.words(job)


@each_of(LOST_ANSWERS, ("404 page", "404 of a gateway"))
@pytest.mark.parametrize("when", When)
def test_a_404_to_disable_does_not_make_a_version_missing(world, damage, when):
    key = world.push_one()
    world.damage(Damage(when=when, status=404, body=damage.body, content_type=damage.content_type), "PATCH")
    job = disable(world, key)
    world.work(job)
    assert world.states()["first"] != "missing"
    world.calm()
    world.rest(job)
    assert world.synchronize_all() == []
    made_versions_agree(world)


def test_a_key_that_was_ever_in_the_vault_is_looked_for_before_an_import(world):
    """A version that this console calls missing, and that is there, is found by its public half."""
    key = world.push_one()
    lifecycle.record_missing(version=key.cloud_versions.get())
    world.synchronize_all()
    assert list(world.counts().values()) == [1]
    made_versions_agree(world)


@each_of(NO_ANSWERS, ("404 page", "404 of a gateway, as JSON", "404 without body", "200 page", "302"))
@pytest.mark.parametrize("call", [("DELETE", DELETED_KEKS), ("DELETE", KEKS)], ids=["purge", "delete"])
def test_a_kek_stays_on_the_ledger_until_the_vault_says_that_it_is_gone(world, damage, call):
    world.damage(damage, *call, count=None)
    job = world.push(*world.make_keys("one"))
    world.work(job)
    assert EphemeralKek.objects.exclude(state="gone").exists()
    world.calm()
    kek_sweep.sweep()
    kek_sweep.sweep()
    assert world.vault.keks() == []
    assert not EphemeralKek.objects.exclude(state="gone").exists()


@pytest.mark.parametrize("bad", ["kv-premium", "kv-protected"])
def test_one_vault_that_talks_nonsense_does_not_stop_the_sweep_for_others(world, second_group, bad):
    world.damage(Damage(when=When.BEFORE, reset=True), "DELETE", KEKS, count=None)
    for group in (world.group, second_group):
        world.work(world.push(*make_keys(group, "one", actor=world.actor)))
    world.calm()
    ports = {"kv-premium": world.stand_in.port, "kv-protected": world.stand_in.port + 1}
    world.damage(page(200, when=When.BEFORE), path="/*keys*", port=ports[bad], count=None)
    kek_sweep.sweep()
    kek_sweep.sweep()
    left = EphemeralKek.objects.exclude(state="gone").select_related("vault")
    assert {row.vault.url for row in left} == {world.relay.url_for(f"https://127.0.0.1:{ports[bad]}")}


@pytest.mark.parametrize("body", [HTML, b"\xff\xfe", b'{"key":'])
def test_nonsense_while_a_failed_job_is_ended_does_not_keep_it_running(world, body):
    (key,) = world.make_keys("one")
    world.damage(envelope(403, "Forbidden", "…does not have keys import permission on key vault 'x'", inner="AccessDenied"), "PUT", KEY, count=None)  # fmt: skip
    world.damage(Damage(when=When.BEFORE, status=200, body=body), "DELETE", KEKS, count=None)
    job = world.push(key)
    world.work(job)
    assert job.state == "failed"
    assert "mport" in job.error_what
    assert "worker was lost" not in world.words(job)


def test_a_version_of_ours_that_a_comparison_finds_is_adopted(world):
    world.push_one()
    # As after a restored backup: the vault has it, the rows don't.
    CloudVersion.objects.all().delete()
    KeyGroup.objects.update(cloud_state="absent")
    job = world.compare()
    assert world.states() == {"first": "active"}, world.words(job)
    assert "not made here" not in world.words(job)
    made_versions_agree(world)


def test_a_forced_rotation_whose_import_is_answered_by_a_gateway_is_done_once(world):
    world.push_one()
    world.damage(page(429), "PUT", KEY)
    job = request_rotation(group=world.group, actor=world.actor)
    world.work(job)
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    made_versions_agree(world)
    assert len(world.there()) == 2


def test_a_doubt_is_said_with_its_reason_while_it_lasts(world, settings):
    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = 120
    (key,) = world.make_keys("one")
    world.damage(page(502, when=When.BEFORE), "PUT", KEY)
    job = world.push(key)
    world.work(job)
    assert job.state == "queued"
    assert "unknown" in job.waiting_for
    assert timedelta(seconds=60) < job.run_after - now() < timedelta(seconds=130)
