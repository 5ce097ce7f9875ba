"""Groups are compared with their vaults by schedule, a few at a time."""

from __future__ import annotations

import pytest

from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from jobs.schedule import scans
from keygroups.models import KeyGroup
from tests.jobs.builders import make_group, make_keys, work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


def test_groups_are_compared_with_their_vaults_once_a_day(group, admin, vault, settings):
    (key,) = make_keys(group, "one", actor=admin)
    work(request_synchronize(keys=[key], actor=admin))
    (made,) = scans.scan_drift()
    assert scans.scan_drift() == []
    assert work(Job.objects.get(pk=made)).state == "succeeded"
    group.refresh_from_db()
    assert (group.differences, group.compared_at is not None) == (0, True)
    assert scans.scan_drift() == []


def test_no_more_than_a_few_comparisons_crowd_one_vault(group, credential, azure_stand_in):
    for number in range(6):
        make_group(credential, azure_stand_in.vault_url("kv-premium"), name=f"g{number}")
    KeyGroup.objects.update(cloud_state="live")
    assert len(scans.scan_drift()) == scans.COMPARISONS_PER_VAULT
