"""How vaults are set up is read again by schedule, a few credentials at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloudcreds.models import VaultConfiguration
from jobs.models import Job
from jobs.schedule import scans
from kmes.core.clock import now
from tests.keygroups.builders import make_credential, make_vault

pytestmark = pytest.mark.django_db


@pytest.fixture
def listed(db):
    """Credentials whose vaults were read so many hours ago; None: never."""

    def make(*hours):
        made = []
        for number, ago in enumerate(hours):
            credential = make_credential(f"credential-{number}")
            vault = make_vault(credential, f"kv-{number}")
            if ago is not None:
                VaultConfiguration.objects.create(
                    vault=vault,
                    access_model="roles",
                    public_access=True,
                    firewall=False,
                    private_endpoints=0,
                    read_at=now() - timedelta(hours=ago),
                )
            made.append(credential)
        return made

    return make


def asked_for():
    return [job.credential.name for job in Job.objects.order_by("created_at")]


def test_a_credential_whose_vaults_were_read_a_day_ago_is_asked_once_more(listed):
    listed(25, 23)
    (made,) = scans.scan_vaults()
    job = Job.objects.get(pk=made)
    assert (job.kind, job.trigger) == ("list_vaults", "schedule")
    assert asked_for() == ["credential-0"]
    Job.objects.update(state="failed")
    assert scans.scan_vaults() == [], "one that fails is not asked for again with each scan"


def test_a_credential_that_never_listed_a_vault_is_left_alone(listed):
    listed(None)
    assert scans.scan_vaults() == []


def test_a_few_at_a_time_those_read_longest_ago_first(listed):
    listed(30, 50, 40)
    scans.scan_vaults()
    assert asked_for() == ["credential-1", "credential-2"]
    scans.scan_vaults()
    assert asked_for() == ["credential-1", "credential-2", "credential-0"]


def test_it_can_be_switched_off_and_paced(listed, settings):
    listed(30)
    settings.KMES_READ_VAULTS_EVERY_HOURS = 0
    assert scans.scan_vaults() == []
    settings.KMES_READ_VAULTS_EVERY_HOURS = 48
    assert scans.scan_vaults() == []
    settings.KMES_READ_VAULTS_EVERY_HOURS = 24
    assert len(scans.scan_vaults()) == 1
