"""Versions that the vault holds and this console has lost sight of: they are found by their public half, not made again."""

from __future__ import annotations

import pytest

from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.synchronize.spec import keys_to_synchronize, request_synchronize
from keygroups import lifecycle
from keygroups.models import CloudVersion, KeyGroup
from tests.jobs.builders import make_keys, messages, work

pytestmark = pytest.mark.django_db(transaction=True)


def states(group):
    return dict(group.cloud_versions.exclude(state="failed").values_list("key__name", "state"))


def test_a_version_called_missing_is_found_instead_of_imported_again(group, vault, admin):
    (key,) = make_keys(group, "first", actor=admin)
    work(request_synchronize(keys=[key], actor=admin))
    lifecycle.record_missing(version=key.cloud_versions.get())
    assert keys_to_synchronize(group) == [key]
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "succeeded", job.error_what
    assert len(vault.versions("payments")) == 1
    assert states(group) == {"first": "active"}


def test_a_comparison_knows_versions_again_whose_rows_are_lost(group, vault, admin):
    keys = make_keys(group, "one", "two", actor=admin)
    work(request_synchronize(keys=keys, actor=admin))
    CloudVersion.objects.all().delete()
    KeyGroup.objects.update(cloud_state="absent")
    job = work(request_check_drift(group=group, actor=admin))
    assert states(group) == {"one": "superseded", "two": "active"}
    assert not any("not made here" in line for line in messages(job))
    assert KeyGroup.objects.get().cloud_state == "live"


def test_a_tag_alone_makes_no_version_ours(group, vault, admin):
    (key,) = make_keys(group, "first", actor=admin)
    vault.client.create_ec_key("payments", hardware_protected=True, tags={"kmes-key": str(key.pk)})
    job = work(request_check_drift(group=group, actor=admin))
    assert states(group) == {}
    assert any("not made here" in line for line in messages(job))


def test_a_comparison_follows_what_the_vault_calls_current(group, vault, admin):
    keys = make_keys(group, "one", "two", actor=admin)
    work(request_synchronize(keys=keys, actor=admin))
    rows = {row.key.name: row for row in CloudVersion.objects.select_related("key")}
    CloudVersion.objects.filter(pk=rows["two"].pk).update(state="superseded", ordinal=1)
    CloudVersion.objects.filter(pk=rows["one"].pk).update(state="active", ordinal=2)
    job = work(request_check_drift(group=group, actor=admin))
    assert states(group) == {"one": "superseded", "two": "active"}
    assert any("current version is" in line for line in messages(job))
    assert any("No drift" in line for line in messages(work(request_check_drift(group=group, actor=admin))))
