"""One job for many key groups: what it opens, how it ends, what a cancel and a retry do, and who may ask."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from jobs.choices import JobState
from jobs.engine import parts
from jobs.kinds.many_groups.spec import MOST_OPEN_OF_A_USER, request_many, undone_groups
from jobs.models import Job
from jobs.pages.parts import read_matrix
from jobs.services import request_cancel, request_retry
from keygroups.choices import GroupCloudState
from keygroups.models import CloudVersion, KeyGroup
from keygroups.selection import MAX_GROUPS
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, InputError, PermissionRefused
from logging_reports.models import LogEntry
from tests.jobs.approving import make_approvers
from tests.jobs.builders import make_group, work

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def groups(credential, azure_stand_in):
    url = azure_stand_in.vault_url("kv-premium")
    return [make_group(credential, url, name=f"pay-{number}") for number in range(1, 4)]


def work_off(job, *, runs=20):
    """Run the job and its parts in turn, as workers do, until it has ended."""
    for _turn in range(runs):
        job.refresh_from_db()
        if job.state not in ("queued", "running"):
            return job
        work(job)
        for part in job.parts.filter(state="queued"):
            work(part)
    message = f"{job} did not end: {job.state}, {job.waiting_for}"
    raise AssertionError(message)


def test_each_group_gets_a_job_of_the_ordinary_kind_and_all_of_them_end_the_one(groups, admin, vault):
    job = work_off(request_many(kind="rotate", groups=groups, actor=admin))
    assert job.state == "succeeded"
    assert (job.title, job.subject) == ("Rotate HSM Protected key(s)", "3 key groups")
    made = list(job.parts.order_by("created_at"))
    assert [(part.kind, part.group, part.state) for part in made] == [("rotate", each, "succeeded") for each in groups]
    assert CloudVersion.objects.filter(state="active").count() == 3
    matrix = read_matrix(job)
    assert (matrix.done, matrix.total) == (3, 3)
    assert [row.name for row in matrix.rows] == ["pay-1", "pay-2", "pay-3"]
    assert {cell.state for row in matrix.rows for cell in row.cells} <= {"Done", "Not needed"}


def test_one_row_of_the_log_says_who_asked_for_how_many(groups, admin):
    job = request_many(kind="check_drift", groups=groups, actor=admin)
    row = LogEntry.objects.get(job_id=job.pk, event="job.requested")
    assert (row.actor_name, row.message) == ("ada", "Check cloud drift: 3 key groups")
    work_off(job)
    assert LogEntry.objects.filter(event="job.requested", job_code__in=job.parts.values("code")).count() == 3


def test_what_fails_in_one_group_holds_up_no_other_and_is_retried_alone(groups, admin):
    blocked = groups[1]
    before = blocked.cloud_state
    KeyGroup.objects.filter(pk=blocked.pk).update(cloud_state=GroupCloudState.SOFT_DELETED)
    job = work_off(request_many(kind="rotate", groups=groups, actor=admin))
    assert job.state == "partly_failed"
    assert job.error_what == "2 of 3 key groups done, 1 not begun."
    first = read_matrix(job).rows[0]
    assert (first.name, first.label) == ("pay-2", "Not begun")
    assert "deleted but recoverable" in first.reason
    KeyGroup.objects.filter(pk=blocked.pk).update(cloud_state=before)
    again = work_off(request_retry(job=job, actor=admin))
    assert again.state == "succeeded"
    assert [part.group for part in again.parts.all()] == [blocked]
    assert all(group.keys.count() == 1 for group in groups)
    # The one that was retried is done, whoever looks at the first job.
    with pytest.raises(ConflictError, match="Nothing is left to retry"):
        request_retry(job=job, actor=admin)


def test_versions_that_came_after_the_confirmation_are_neither_disabled_nor_deleted(groups, admin):
    work_off(request_many(kind="rotate", groups=groups[:2], actor=admin))
    disable = request_many(kind="set_enabled", groups=groups[:2], actor=admin)
    work_off(request_many(kind="rotate", groups=groups[:1], actor=admin))
    assert read_matrix(disable).steps == []
    disable = work_off(disable)
    assert disable.error_what == "1 of 2 key groups done, 1 not begun."
    assert read_matrix(disable).steps == ["Disable version"]
    assert "has other versions in the vault than when this was asked for" in read_matrix(disable).rows[0].reason
    assert list(CloudVersion.objects.filter(enabled=False).values_list("group__name", flat=True)) == ["pay-2"]
    delete = work_off(request_many(kind="cloud_delete", groups=groups[:2], actor=admin))
    assert delete.state == "succeeded"
    assert KeyGroup.objects.filter(cloud_state=GroupCloudState.SOFT_DELETED).count() == 2


def test_a_part_that_was_cancelled_alone_is_retried_with_the_others(groups, admin):
    job = request_many(kind="rotate", groups=groups[:1], actor=admin)
    work(job)
    part = job.parts.get()
    request_cancel(job=part, actor=admin)
    job = work_off(job)
    assert job.state == "failed"
    assert job.error_what == "0 of 1 key group done, 1 canceled."
    again = work_off(request_retry(job=job, actor=admin))
    assert again.state == "succeeded"
    assert again.parts.get().retry_of == part
    assert groups[0].keys.count() == 1


def test_a_cancel_stops_the_parts_and_begins_no_further_one(groups, admin, monkeypatch):
    monkeypatch.setattr(parts, "WINDOW", 2)
    job = request_many(kind="rotate", groups=groups, actor=admin)
    work(job)
    assert job.parts.count() == 2
    work(job.parts.earliest("created_at"))
    request_cancel(job=job, actor=admin)
    job = work_off(job)
    assert job.state == "cancelled"
    assert sorted(job.parts.values_list("state", flat=True)) == ["cancelled", "succeeded"]
    assert undone_groups(job) == [groups[1].pk, groups[2].pk]


def test_only_so_many_parts_are_open_at_a_time_and_one_that_ends_makes_place(groups, admin, monkeypatch):
    monkeypatch.setattr(parts, "WINDOW", 2)
    monkeypatch.setattr(parts, "REFILL_AT", 1)
    job = request_many(kind="check_drift", groups=groups, actor=admin)
    work(job)
    job.refresh_from_db()
    assert (job.state, job.shown_state, job.waiting_for) == (JobState.QUEUED, JobState.RUNNING, "")
    due = job.run_after
    work(job.parts.earliest("created_at"))
    job.refresh_from_db()
    assert job.run_after < due
    work(job)
    assert job.parts.count() == 3


def test_a_run_after_a_crash_opens_no_part_twice(groups, admin):
    job = request_many(kind="rotate", groups=groups, actor=admin)
    work(job)
    Job.objects.filter(pk=job.pk).update(state="running", lease_until=job.created_at)
    work(job)
    assert job.parts.count() == 3


def test_what_was_signed_for_one_job_is_no_part_of_another(groups, admin):
    job = request_many(kind="check_drift", groups=groups[:1], actor=admin)
    other = request_many(kind="check_drift", groups=groups[1:], actor=admin)
    work(job)
    part = job.parts.get()
    Job.objects.filter(pk=part.pk).update(part_of=other)
    assert work(part).error_code == "not_genuine"


def test_whoever_may_not_do_it_to_one_group_may_not_do_it_to_many(groups):
    auditor = Actor.from_user(get_user_model().objects.create_user("eve", role="auditor"))
    with pytest.raises(PermissionRefused):
        request_many(kind="rotate", groups=groups, actor=auditor)
    assert not Job.objects.exists()


def test_a_right_that_is_withdrawn_ends_what_is_left(groups, admin):
    job = request_many(kind="rotate", groups=groups, actor=admin)
    get_user_model().objects.filter(username="ada").update(role="auditor")
    work(job)
    job.refresh_from_db()
    assert job.state == "failed"
    assert not job.parts.exists()


def test_one_job_takes_a_thousand_groups_and_says_so(groups, admin):
    with pytest.raises(InputError, match="1,001 key groups are selected; one action takes 1,000"):
        request_many(kind="rotate", groups=groups[:1] * (MAX_GROUPS + 1), actor=admin)


def test_a_retry_deletes_and_disables_nothing_but_what_was_there_when_it_was_asked_for(groups, admin, vault):
    work_off(request_many(kind="rotate", groups=groups[:1], actor=admin))
    job = request_many(kind="set_enabled", groups=groups[:1], actor=admin)
    work(job)
    request_cancel(job=job.parts.get(), actor=admin)
    job = work_off(job)
    work_off(request_many(kind="rotate", groups=groups[:1], actor=admin))
    retry = request_retry(job=job, actor=admin)
    work_off(request_many(kind="rotate", groups=groups[:1], actor=admin))
    assert "has other versions" in read_matrix(work_off(retry)).rows[0].reason
    assert not CloudVersion.objects.filter(enabled=False).exists()
    # Asked for again, it is about the version that is active now.
    again = work_off(request_retry(job=job, actor=admin))
    assert again.state == "succeeded"
    assert again.parts.get().retry_of.part_of == job
    disabled = CloudVersion.objects.get(enabled=False)
    assert vault.client.get_key("pay-1").properties.version == disabled.azure_version


def test_of_two_retries_one_works_on_each_group(groups, admin):
    job = request_many(kind="rotate", groups=groups[:2], actor=admin)
    work(job)
    request_cancel(job=job, actor=admin)
    work_off(job)
    first, second = (request_retry(job=job, actor=admin) for _time in range(2))
    assert work_off(first).state == "succeeded"
    assert "has retried it meanwhile" in read_matrix(work_off(second)).rows[0].reason
    assert [group.keys.count() for group in groups] == [1, 1, 0]


def test_a_user_has_a_few_such_jobs_open_at_a_time(groups, admin):
    for _each in range(MOST_OPEN_OF_A_USER):
        job = request_many(kind="check_drift", groups=groups[:1], actor=admin)
    with pytest.raises(ConflictError, match="are open already"):
        request_many(kind="check_drift", groups=groups[:1], actor=admin)
    assert request_many(kind="check_drift", groups=groups[:1], actor=make_approvers("bob")[0])
    request_cancel(job=job, actor=admin)
    assert request_many(kind="check_drift", groups=groups[:1], actor=admin)
