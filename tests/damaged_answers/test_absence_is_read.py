"""What the vault says of its own change is not believed alone: that a key is gone is read."""

from __future__ import annotations

import json

import pytest

from jobs.journal import kek_sweep
from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.cloud_purge.spec import request_cloud_purge
from jobs.models import EphemeralKek
from tests.damaged_answers.harness import DELETED, DELETED_KEKS, KEY
from tests.faults.relay.damages import JSON_TYPE, Damage, When

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


def test_a_purge_of_a_kek_is_not_believed_by_its_204_alone(world):
    world.damage(Damage(when=When.BEFORE, status=204, body=b""), "DELETE", DELETED_KEKS)
    job = world.push(*world.make_keys("one"))
    world.work(job)
    assert job.state == "succeeded", world.words(job)
    assert len(world.vault.keks()) == 1, "the vault did nothing"
    kek_sweep.sweep()
    assert EphemeralKek.objects.exclude(state="gone").exists()
    kek_sweep.sweep()
    assert (world.vault.keks(), EphemeralKek.objects.get().state) == ([], "gone")


def test_a_purge_is_not_believed_by_its_204_alone(world):
    world.push_one()
    world.run(request_cloud_delete(group=world.group, actor=world.actor))
    world.damage(Damage(when=When.BEFORE, status=204, body=b""), "DELETE", DELETED)
    job = request_cloud_purge(group=world.group, actor=world.actor)
    world.work(job)
    assert (job.state, world.group.cloud_state) == ("queued", "soft_deleted"), world.words(job)
    assert "still purging" in job.waiting_for
    world.rest(job)
    assert (job.state, world.group.cloud_state) == ("succeeded", "purged"), world.words(job)
    assert not world.vault.is_deleted("payments")


def test_a_deletion_is_not_believed_by_its_answer_alone(world):
    world.push_one()
    vault, times = world.group.vault.url, {"deletedDate": 1_700_000_000, "scheduledPurgeDate": 1_800_000_000}
    made_up = {
        "recoveryId": f"{vault}{DELETED}",
        **times,
        "key": {"kid": f"{vault}{KEY}/{world.current()}", "kty": "EC-HSM"},
        "attributes": {"enabled": True, "created": 1_700_000_000},
    }
    body = json.dumps(made_up).encode()
    world.damage(Damage(when=When.BEFORE, status=200, body=body, content_type=JSON_TYPE), "DELETE", KEY)
    job = request_cloud_delete(group=world.group, actor=world.actor)
    world.work(job)
    assert (job.state, world.group.cloud_state) == ("queued", "live"), world.words(job)
    assert "still shows the key" in job.waiting_for
    world.rest(job)
    assert (job.state, world.group.cloud_state) == ("succeeded", "soft_deleted"), world.words(job)
    assert world.vault.is_deleted("payments")
