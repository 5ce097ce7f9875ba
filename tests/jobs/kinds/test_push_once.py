"""A key is pushed once, however often it is requested and whatever answers are lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from keygroups.models import Key
from kmes.core.errors import ConflictError
from tests.jobs.builders import make_keys, work

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_second_request_for_the_same_key_is_refused_while_the_first_is_open(group, admin, vault):
    (key,) = make_keys(group, "one", actor=admin)
    first = request_synchronize(keys=[key], actor=admin)
    with pytest.raises(ConflictError, match="on its way"):
        request_synchronize(keys=[key], actor=admin)
    work(first)
    with pytest.raises(ConflictError, match="already"):
        request_synchronize(keys=[key], actor=admin)
    assert len(vault.versions("payments")) == 1


def test_a_double_click_starts_one_job(group, admin):
    (key,) = make_keys(group, "one", actor=admin)
    first = request_synchronize(keys=[key], actor=admin, idempotency_key="form-1")
    assert request_synchronize(keys=[key], actor=admin, idempotency_key="form-1") == first


def test_an_import_whose_answer_is_lost_is_adopted_and_not_repeated(group, admin, vault, azure_stand_in, settings):
    (key,) = make_keys(group, "one", actor=admin)
    azure_stand_in.control("POST", "/_emulator/faults", {"method": "PUT", "path": "/keys/payments.*", "reset": "after"})
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "queued"
    assert "unknown" in job.waiting_for
    assert len(vault.versions("payments")) == 1

    Job.objects.filter(pk=job.pk).update(run_after=job.created_at)
    assert work(job).state == "succeeded"
    assert len(vault.versions("payments")) == 1
    assert vault.keks() == []
    assert job.intents.get().state == "adopted"


def test_an_import_that_never_arrived_is_repeated_only_after_the_quarantine(
    group, admin, vault, azure_stand_in, settings
):
    (key,) = make_keys(group, "one", actor=admin)
    azure_stand_in.control(
        "POST", "/_emulator/faults", {"method": "PUT", "path": "/keys/payments.*", "reset": "before"}
    )
    job = work(request_synchronize(keys=[key], actor=admin))
    Job.objects.filter(pk=job.pk).update(run_after=job.created_at)
    assert work(job).state == "queued", "within the quarantine nothing is repeated"
    assert vault.versions("payments") == []

    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = 0
    Job.objects.filter(pk=job.pk).update(run_after=job.created_at)
    assert work(job).state == "succeeded"
    assert len(vault.versions("payments")) == 1
    assert vault.keks() == []


def test_two_requests_at_the_same_moment_push_a_key_once(group, admin, vault):
    """Two people click at once: one job is made, or the second is refused; never two versions."""
    (key,) = make_keys(group, "one", actor=admin)

    def ask(_number):
        try:
            return request_synchronize(keys=[Key.objects.select_related("group").get(pk=key.pk)], actor=admin)
        except ConflictError:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        asked = [job for job in pool.map(ask, range(4)) if job is not None]
    assert len(asked) == 1
    for job in Job.objects.filter(kind="synchronize"):
        work(job)
    assert len(vault.versions("payments")) == 1
