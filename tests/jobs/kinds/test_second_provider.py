"""A second cloud provider, driven by the product's own jobs: create, push, rotate, disable, tag, delete, purge.

The cloud lives in memory (``tests.cloudcreds.provider``). Nothing in jobs or key groups knows it.
"""

from __future__ import annotations

import pytest

from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.cloud_purge.spec import request_cloud_purge
from jobs.kinds.cloud_recover.spec import request_cloud_recover
from jobs.kinds.prove.spec import request_proof
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.set_enabled.spec import request_set_enabled
from jobs.kinds.set_tags.spec import current_version, request_set_tags
from jobs.kinds.synchronize.spec import request_synchronize
from keygroups.models import KeyGroup
from logging_reports.models import LogEntry
from tests.cloudcreds.provider.fixtures import make_memory_credential, memory_cloud
from tests.jobs.builders import make_group, make_keys, messages, work

__all__ = ["memory_cloud"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def store(memory_cloud):
    """A vault of the cloud in memory."""
    return memory_cloud.add_vault("premium")


@pytest.fixture
def memory_group(device, memory_cloud, store):
    """A key group in that vault."""
    return make_group(make_memory_credential(memory_cloud), store.url, name="payments")


def fresh(group):
    return KeyGroup.objects.get(pk=group.pk)


def done(job):
    job = work(job)
    assert job.state == "succeeded", (job.error_what, messages(job))
    return job


def test_a_key_goes_its_whole_way_in_the_second_cloud(memory_group, store, memory_cloud, admin):
    (key,) = make_keys(memory_group, "first", actor=admin)
    done(request_synchronize(keys=[key], actor=admin))
    assert [version.spki for version in store.versions("payments")] == [bytes(key.public_spki)]
    done(request_proof(version=current_version(memory_group), actor=admin))

    done(request_rotation(group=memory_group, actor=admin))
    rotated = current_version(fresh(memory_group))
    assert store.version("payments").spki == bytes(rotated.key.public_spki)
    assert len(store.versions("payments")) == 2

    done(request_set_tags(version=rotated, tags={"team": "pay"}, actor=admin))
    assert store.version("payments").tags["team"] == "pay"
    done(request_set_enabled(version=rotated, enabled=False, actor=admin))
    assert store.version("payments").enabled is False
    rotated.refresh_from_db()
    done(request_set_enabled(version=rotated, enabled=True, actor=admin))
    assert any("No drift" in line for line in messages(done(request_check_drift(group=memory_group, actor=admin))))

    done(request_cloud_delete(group=fresh(memory_group), actor=admin))
    assert store.versions("payments") == []
    done(request_cloud_recover(group=fresh(memory_group), actor=admin))
    assert len(store.versions("payments")) == 2
    done(request_cloud_delete(group=fresh(memory_group), actor=admin))
    done(request_cloud_purge(group=fresh(memory_group), actor=admin))
    assert fresh(memory_group).cloud_state == "purged"
    assert not store.keys
    assert not store.deleted


def test_its_calls_stand_in_the_log_and_no_kek_is_left(memory_group, store, memory_cloud, admin):
    job = done(request_synchronize(keys=make_keys(memory_group, "a", "b", actor=admin), actor=admin))
    events = list(LogEntry.objects.filter(service="azure", job_id=job.pk).values_list("event", flat=True))
    for event in ("azure.token_obtained", "azure.kek_created", "azure.key_imported", "azure.kek_deleted"):
        assert event in events
    assert set(store.keys) == {"payments"}
    assert not store.deleted


def test_a_refusal_of_the_second_cloud_fails_in_its_own_words(memory_group, memory_cloud, admin):
    keys = make_keys(memory_group, "a", actor=admin)
    memory_cloud.permitted.discard("import")
    job = work(request_synchronize(keys=keys, actor=admin))
    assert (job.state, job.error_code) == ("failed", "azure.permission")
    memory_cloud.permitted.add("import")
    done(request_synchronize(keys=keys, actor=admin))
