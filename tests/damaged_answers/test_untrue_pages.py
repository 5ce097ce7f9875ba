"""What a job and its page say is what the vault shows: what is left, what was tried, and which key is current."""

from __future__ import annotations

import pytest

from cloudcreds.models import KeyVault
from jobs.kinds.rotate.spec import request_rotation
from jobs.schedule import scans
from kmes.core.errors import ConflictError
from tests.damaged_answers.harness import DELETED_KEKS, KEKS, KEY, text_of
from tests.faults.relay.damages import envelope
from tests.jobs.builders import make_group, make_keys

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
MISSING_RIGHT = "The user, group or application does not have keys {} permission on key vault."


def test_a_kek_that_may_not_be_deleted_is_named_by_its_step_and_the_job_succeeded_with_a_warning(world, pages):
    world.push_one()
    world.damage(envelope(403, "Forbidden", MISSING_RIGHT.format("delete")), "DELETE", KEKS, count=None)
    job = request_rotation(group=world.group, actor=world.actor)
    world.work(job)
    assert job.get_state_display() == "Succeeded with a warning"
    (kek,) = world.vault.keks()
    step = job.steps.get(name="discard_kek")
    assert (step.get_state_display(), kek in step.detail) == ("Done, with a warning", True)
    page = text_of(pages.get(job.get_absolute_url()))
    assert "Succeeded with a warning" in page
    assert f"Completed, but something is left behind: Discard ephemeral KEK {kek}" in page
    assert "Succeeded with a warning" in text_of(pages.get("/jobs/"))


def test_a_purge_right_that_is_withheld_on_purpose_is_no_warning(world):
    world.damage(envelope(403, "Forbidden", MISSING_RIGHT.format("purge")), "DELETE", DELETED_KEKS, count=None)
    for name in ("one", "two", "three"):
        job = world.push(*world.make_keys(name))
        world.work(job)
        assert job.state == "succeeded", world.words(job)
    assert sum("permission on key vault" in text or "permission Purge" in text for text in world.log_texts()) <= 2


def test_pushing_an_older_key_after_a_newer_one_is_asked_about_before_and_said_after(world, pages):
    older, newer = world.make_keys("older", "newer")
    job = world.push(newer)
    world.work(job)
    asked = text_of(pages.get(f"/jobs/start/synchronize/?key={older.pk}"))
    assert "“older” becomes the current version of “payments”. “newer”, which is newer, no longer is" in asked
    job = world.push(older)
    world.work(job)
    assert job.state == "succeeded", world.words(job)
    assert "“older” is the current version of “payments” now; “newer”, which is newer" in world.words(job)
    assert world.states() == {"older": "active", "newer": "superseded"}
    assert world.current() == older.cloud_versions.get().azure_version


def test_of_eight_keys_a_page_tells_imported_refused_and_not_tried_and_the_reason_once(world, pages):
    keys = world.make_keys(*[f"k{number}" for number in range(1, 9)])
    world.damage(envelope(403, "Forbidden", "Disallowed by policy."), "PUT", KEY, count=None, skip=2)
    job = world.push(*keys)
    world.work(job)
    world.rest(job)
    assert job.state == "partly_failed", world.words(job)
    page = text_of(pages.get(job.get_absolute_url()))
    assert "2 of 8 imported, 1 refused, 5 not tried" in page
    assert page.count("Not tried") >= 5
    assert world.words(job).count("Disallowed by policy") <= 3


def test_a_group_on_a_standard_vault_is_refused_before_the_first_call(world, credential, relay):
    address = relay.url_for(world.stand_in.vault_url("kv-standard"))
    group = make_group(credential, address, name="standard")
    (key,) = make_keys(group, "one", actor=world.actor)
    KeyVault.objects.filter(pk=group.vault_id).update(tier="standard")
    group.vault.refresh_from_db()
    key.group.vault.refresh_from_db()
    with pytest.raises(ConflictError, match="Standard tier"):
        world.push(key)
    with pytest.raises(ConflictError, match="Standard tier"):
        request_rotation(group=group, actor=world.actor)
    world.group = group
    with pytest.raises(ValueError, match="not enough values"):
        world.make_due()
    slot = group.rotation_slots.get()
    assert "Standard tier" in slot.last_error
    assert list(scans.find_claimable()) == []
