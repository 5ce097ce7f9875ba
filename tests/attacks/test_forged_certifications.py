"""An attacker who can write to the database has the worker ask for jobs, by rows of a self-certification."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.certifications.models import Certification, CertificationStep
from jobs.certifications.progress import follow_all
from jobs.certifications.services import request_certification
from jobs.choices import CertificationState, CheckState
from jobs.models import Job
from kmes.core.clock import now
from logging_reports.models import LogEntry, Notice
from tests.jobs.builders import make_keys, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token, vault
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "credential", "device", "group", "hsm_token", "log_can_be_flushed", "vault"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def genuine(group, admin):
    """A run that a person asked for, with its first job done."""
    run = request_certification(vault=group.vault, key_spec="P-256", actor=admin)
    work(Job.objects.get(kind="create", group=run.group))
    return run


def was_refused(run: Certification) -> bool:
    """Whether the worker ends the run without asking for any job, and raises the alarm once."""
    before = Job.objects.count()
    for _time in range(2):
        follow_all()
    run.refresh_from_db()
    assert Job.objects.count() == before
    assert not run.steps.filter(state__in=[CheckState.PENDING, CheckState.RUNNING]).exists()
    assert LogEntry.objects.get(event="certification.not_genuine").severity == "error"
    assert Notice.objects.filter(event="certification.not_genuine").count() == 1
    return run.state == CertificationState.FAILED


def test_an_inserted_run_destroys_no_key_of_the_group_it_names(group, admin):
    make_keys(group, "k1", actor=admin)
    forged = Certification.objects.create(
        vault=group.vault,
        vault_name=group.vault.name,
        group=group,
        key_spec=group.key_spec,
        actor_name="ada",
        requested_by_id=admin.user_id,
    )
    CertificationStep.objects.create(certification=forged, ordinal=1, name="destroy")
    assert was_refused(forged)


@pytest.mark.parametrize("changed", ["group", "requester", "name", "time", "signature", "signer"])
def test_a_run_that_was_changed_goes_no_further(changed, genuine, group):
    values = {
        "group": {"group": group},
        "requester": {"requested_by": None},
        "name": {"actor_name": "eve"},
        "time": {"created_at": now() - timedelta(days=1)},
        "signature": {"request_signature": bytes(64)},
        "signer": {"request_signer": "worker"},
    }
    Certification.objects.filter(pk=genuine.pk).update(**values[changed])
    assert was_refused(genuine)


def test_a_genuine_run_goes_on(genuine):
    follow_all()
    assert Job.objects.filter(kind="synchronize", group=genuine.group).exists()
    assert not LogEntry.objects.filter(event="certification.not_genuine").exists()
