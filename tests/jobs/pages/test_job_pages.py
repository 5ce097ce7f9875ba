"""Pages of Jobs: list, drawer, one job, cancel and retry; who may, what shows, what it costs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.kinds.check_drift.spec import request_check_drift
from jobs.models import Job, JobStep, JobTarget
from kmes.core.actor import SYSTEM, Actor
from kmes.core.clock import now
from logging_reports.services import record
from tests.jobs.pages.browsing import (
    FRAGMENT,
    ROLES,
    body,
    group,
    make_failed,
    make_job,
    make_key,
    pages,
    people,
    say,
    static_root,
)

__all__ = ["group", "pages", "people", "static_root"]
pytestmark = pytest.mark.django_db


# --- List ------------------------------------------------------------------------------------
def test_strangers_are_led_to_the_sign_in(client):
    for path in ("/jobs/", "/jobs/drawer/", "/jobs/ABC123/", "/jobs/start/self_test/"):
        answer = client.get(path)
        assert answer.status_code == 302
        assert "/login" in answer["Location"] or "sign" in answer["Location"]


@pytest.mark.parametrize("role", ROLES)
def test_each_role_reads_the_list(client, people, group, role):
    client.force_login(people[role])
    job = make_job(group)
    page = body(client.get("/jobs/"))
    assert str(job) in page
    assert "Synchronize HSM Protected key(s)" in page
    assert f'data-open="/jobs/{job.code}/"' in page
    assert f'data-menu="/jobs/{job.code}/actions/"' in page


def test_each_list_says_why_it_is_empty(pages):
    assert "No jobs yet" in body(pages.get("/jobs/"))
    assert "Nothing is running" in body(pages.get("/jobs/?show=running"))
    assert "No job has failed" in body(pages.get("/jobs/?show=failed"))
    assert "You have started no job" in body(pages.get("/jobs/?show=mine"))
    assert "No job matches" in body(pages.get("/jobs/?q=nothing"))
    assert "can&#x27;t be used" in body(pages.get("/jobs/?kind=nonsense")) or "can't be used" in body(
        pages.get("/jobs/?kind=nonsense")
    )


def test_tabs_divide_the_jobs(pages, people, group):
    running = make_job(group, state="running")
    failed = make_job(group, state="partly_failed")
    own = make_job(group, state="succeeded", requested_by=people["admin"])

    def shown(query):
        page = body(pages.get(f"/jobs/?{query}"))
        return {job.code for job in (running, failed, own) if f'data-open="/jobs/{job.code}/"' in page}

    assert shown("") == {running.code, failed.code, own.code}
    assert shown("show=running") == {running.code}
    assert shown("show=failed") == {failed.code}
    assert shown("show=mine") == {own.code}
    assert shown("show=nonsense") == {running.code, failed.code, own.code}


def test_filters_narrow_the_list(pages, group):
    key = make_key(group)
    job = make_job(group, subject="needle")
    JobTarget.objects.create(job=job, key=key, ordinal=1)
    other = make_job(kind="self_test", state="succeeded", subject="device")
    Job.objects.filter(pk=other.pk).update(created_at=now() - timedelta(days=3))

    def shown(query):
        page = body(pages.get(f"/jobs/?{query}"))
        return {name for name, row in (("job", job), ("other", other)) if f'data-open="/jobs/{row.code}/"' in page}

    assert shown("q=needle") == shown("kind=synchronize") == shown("state=running") == {"job"}
    assert shown(f"group={group.pk}") == shown(f"key={key.pk}") == shown("range=24h") == {"job"}
    assert shown(f"vault={group.vault_id}") == {"job"}
    assert "Key Vault: kv" in body(pages.get(f"/jobs/?vault={group.vault_id}"))
    assert shown(f"q={other}") == shown("state=succeeded") == {"other"}
    assert shown("until=2001-01-01") == set()
    assert "Key: pay-1" in body(pages.get(f"/jobs/?key={key.pk}"))


def test_long_lists_are_paged_and_nonsense_pages_are_harmless(pages, group):
    Job.objects.bulk_create(
        Job(kind="check_drift", state="succeeded", actor_name="ada", trigger="user", run_after=now()) for _ in range(55)
    )
    first, second = body(pages.get("/jobs/")), body(pages.get("/jobs/?page=2"))
    assert first.count("data-open=") == 50
    assert second.count("data-open=") == 5
    assert "55 jobs" in first
    assert pages.get("/jobs/?page=abc&sort=nonsense").status_code == 200


def test_the_list_stays_cheap(pages, group):
    for _ in range(30):
        make_failed(group)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        pages.get("/jobs/")
    assert len(queries) <= 12


def test_an_unchanged_list_is_not_sent_again(pages, group):
    job = make_job(group)
    digest = pages.get("/jobs/").context["digest"]
    asked = {"HTTP_HX_TARGET": "job-results", **FRAGMENT}
    assert pages.get(f"/jobs/?seen={digest}", **asked).status_code == 204
    Job.objects.filter(pk=job.pk).update(state="succeeded", finished_at=now())
    changed = pages.get(f"/jobs/?seen={digest}", **asked)
    assert changed.status_code == 200
    assert "<html" not in body(changed)


def test_the_drawer_shows_running_jobs_first_and_counts_them(pages, group):
    running = make_job(group)
    ended = [make_job(group, state="succeeded") for _ in range(25)]
    page = body(pages.get("/jobs/drawer/", **FRAGMENT))
    assert 'data-running="1"' in page
    assert page.index(str(running)) < page.index(str(ended[-1]))
    assert page.count("data-open=") == 20
    digest = page.split("seen=")[1].split('"')[0]
    assert pages.get(f"/jobs/drawer/?seen={digest}", **FRAGMENT).status_code == 204


# --- One job ---------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["", "live/", "log.txt", "actions/", "cancel/", "retry/"])
def test_an_unknown_job_is_not_found(pages, path):
    assert pages.get(f"/jobs/NOJOB1/{path}").status_code == 404


def test_a_job_is_found_by_its_number_as_people_write_it(pages, group):
    job = make_job(group)
    assert pages.get(f"/jobs/job-{job.code.lower()}/").status_code == 200


def test_the_log_has_numbered_lines_with_links_and_times(pages, group):
    job = make_job(group)
    say(job, "Synchronizing 1 HSM protected key(s)...", "<b>not markup</b>")
    page = body(pages.get(f"/jobs/{job.code}/"))
    assert 'id="L1"' in page
    assert 'href="#L2"' in page
    assert "Synchronizing 1 HSM protected key(s)..." in page
    assert "<b>not markup" not in page
    assert f"{job.messages.first().at:%Y-%m-%d %H:%M:%S}" in page
    assert f"/logs/?service=azure&amp;job={job.code}" in page


def test_a_failed_job_says_what_why_and_what_to_do(pages, group):
    job = make_failed(group)
    page = body(pages.get(f"/jobs/{job.code}/"))
    for words in (
        "The vault refused the import.",
        "It stopped at the step “Import key”.",
        "Azure answered 403: The key permission Import is missing",
        "Give the app registration the permission Import.",
        "5f3c-request",
        "Open credential",
        f"/jobs/{job.code}/retry/",
    ):
        assert words in page
    assert page.count("<details open>") == 1
    assert "hx-trigger" not in page.split('id="job-live"')[1].split(">")[0]


def test_what_failed_the_job_is_told_and_not_what_failed_while_it_was_cleaned_up(pages, group):
    job = make_failed(group)
    for message, request_id, status in (
        (f"The call for “KEK created” failed: {job.error_what} Choose another vault.", "the-cause", 400),
        ("The call for “KEK purged” failed: The vault has no such key.", "the-clean-up", 404),
    ):
        values = {"http_status": status, "provider_request_id": request_id, "message": message}
        record("azure.call_failed", actor=SYSTEM, job_id=job.pk, job_code=job.code, **values)
    page = body(pages.get(f"/jobs/{job.code}/"))
    assert "Azure answered 400." in page
    assert "the-cause" in page
    assert "the-clean-up" not in page
    assert "kek_purged" not in page


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("azure.firewall", "Open credential"),
        ("azure.wrong_secret", "Open credential"),
        ("device_missing", "Open device"),
        ("pin_wrong", "Open device"),
        ("azure.soft_deleted", "Open key group"),
        ("azure.standard_vault", "Choose another vault"),
        ("standard_vault", "Choose another vault"),
    ],
)
def test_a_failure_leads_to_the_page_that_helps(code, label, pages, group):
    job = make_job(group, state="failed", error_what="No.", error_code=code, finished_at=now())
    page = body(pages.get(f"/jobs/{job.code}/"))
    labels = ("Open credential", "Open device", "Open key group", "Choose another vault")
    assert [each for each in labels if each in page] == [label]


def test_the_page_of_a_running_job_updates_itself(pages, group):
    job = make_job(group, started_at=now())
    JobStep.objects.create(job=job, name="preflight", ordinal=1, state="done", started_at=now())
    JobStep.objects.create(job=job, name="wrap_key", ordinal=2, state="running", started_at=now())
    say(job, "one")
    page = body(pages.get(f"/jobs/{job.code}/"))
    assert "Wrap key in the HSM, 1 of 7 steps" in page
    poll = page.split('hx-get="')[1].split('"')[0].replace("&amp;", "&")
    poll = next(part.split('"')[0] for part in page.split('hx-get="')[1:] if "/live/" in part).replace("&amp;", "&")
    assert pages.get(poll, **FRAGMENT).status_code == 204
    say(job, "two")
    update = body(pages.get(poll, **FRAGMENT))
    assert 'hx-swap-oob="beforeend"' in update
    assert 'id="L2"' in update
    assert 'id="L1"' not in update
    Job.objects.filter(pk=job.pk).update(state="succeeded", finished_at=now())
    final = body(pages.get(poll, **FRAGMENT))
    assert "hx-trigger" not in final
    assert "Succeeded" in final


def test_a_long_log_shows_its_end_unless_all_is_asked_for(pages, group, monkeypatch):
    monkeypatch.setattr("jobs.pages.views.LOG_TAIL", 5)
    job = make_job(group, state="succeeded")
    say(job, *[f"line-{number}." for number in range(1, 13)])
    page = body(pages.get(f"/jobs/{job.code}/"))
    assert "7 earlier lines are not shown" in page
    assert "line-8." in page
    assert "line-7." not in page
    assert "line-1." in body(pages.get(f"/jobs/{job.code}/?all=1"))


def test_the_log_downloads_as_text(pages, group):
    job = make_job(group, state="succeeded")
    say(job, "Synchronized HSM protected key pay-1")
    answer = pages.get(f"/jobs/{job.code}/log.txt")
    assert answer["Content-Type"].startswith("text/plain")
    assert f'filename="{job}.txt"' in answer["Content-Disposition"]
    stamp = f"{job.messages.first().at:%Y-%m-%d %H:%M:%S}"
    assert body(answer) == f"{stamp} Synchronized HSM protected key pay-1\n"


def test_the_page_of_a_job_with_many_keys_stays_cheap(pages, group):
    job = make_failed(group)
    for number in range(20):
        key = make_key(group, f"k{number}")
        JobTarget.objects.create(job=job, key=key, ordinal=number, state="failed", detail="refused")
    with CaptureQueriesContext(connection) as queries:
        pages.get(f"/jobs/{job.code}/")
    assert len(queries) <= 12


# --- Cancel and retry ------------------------------------------------------------------------
def test_cancel_asks_first_and_acts_by_post_only(pages, group):
    job = make_job(group, state="queued")
    assert "leaves nothing behind" in body(pages.get(f"/jobs/{job.code}/cancel/"))
    job.refresh_from_db()
    assert job.state == "queued"
    assert pages.post(f"/jobs/{job.code}/cancel/").status_code == 302
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_cancelling_a_push_under_way_says_what_stays(pages, group):
    job = make_job(group, started_at=now())
    page = body(pages.get(f"/jobs/{job.code}/cancel/", **FRAGMENT))
    assert "ephemeral KEK is deleted" in page
    assert "<html" not in page
    answer = pages.post(f"/jobs/{job.code}/cancel/", **FRAGMENT)
    assert answer["HX-Redirect"] == f"/jobs/{job.code}/"
    job.refresh_from_db()
    assert (job.state, job.cancel_requested_by) == ("running", "the-admin")
    assert "the-admin asked to cancel" in body(pages.get(f"/jobs/{job.code}/"))


def test_a_job_that_ended_can_not_be_cancelled(pages, group):
    job = make_job(group, state="succeeded")
    answer = pages.post(f"/jobs/{job.code}/cancel/")
    assert answer.status_code == 422
    assert "has ended already" in body(answer)


def test_cancel_needs_its_right_and_the_token_of_the_form(client, people, group):
    job = make_job(group, state="queued")
    client.force_login(people["auditor"])
    assert client.post(f"/jobs/{job.code}/cancel/").status_code == 403
    strict = client.__class__(enforce_csrf_checks=True)
    strict.force_login(people["admin"])
    assert strict.post(f"/jobs/{job.code}/cancel/").status_code == 403
    job.refresh_from_db()
    assert job.state == "queued"


def request_and_fail(group, people):
    """A job that a person asked for and that failed: only such a one can be retried."""
    job = request_check_drift(group=group, actor=Actor.from_user(people["admin"]))
    Job.objects.filter(pk=job.pk).update(state="failed", error_what="It failed.")
    return job


def test_retry_makes_one_linked_job_however_often_it_is_sent(pages, people, group):
    job = request_and_fail(group, people)
    form = pages.get(f"/jobs/{job.code}/retry/").context["form"]
    assert Job.objects.count() == 1
    sent = {"idempotency_key": str(form.initial["idempotency_key"])}
    first, second = pages.post(f"/jobs/{job.code}/retry/", sent), pages.post(f"/jobs/{job.code}/retry/", sent)
    made = Job.objects.get(retry_of=job)
    assert first["Location"] == second["Location"] == f"/jobs/{made.code}/"
    assert f"/jobs/{made.code}/" in body(pages.get(f"/jobs/{job.code}/"))
    assert f"/jobs/{job.code}/" in body(pages.get(f"/jobs/{made.code}/"))


def test_retry_needs_the_right_of_what_it_does_again(client, people, group):
    job = make_job(group, kind="cloud_purge", state="failed")
    client.force_login(people["custodian"])
    assert client.get(f"/jobs/{job.code}/retry/").status_code == 403
    assert client.post(f"/jobs/{job.code}/retry/").status_code == 403
    assert f"/jobs/{job.code}/retry/" not in body(client.get(f"/jobs/{job.code}/"))
    assert Job.objects.count() == 1


def test_a_running_job_can_not_be_retried(pages, group):
    job = make_job(group, kind="check_drift")
    answer = pages.post(f"/jobs/{job.code}/retry/")
    assert answer.status_code == 422
    assert Job.objects.count() == 1


def test_the_menu_of_a_job_is_a_piece_or_a_page(pages, group):
    job = make_job(group, state="failed", kind="check_drift")
    piece, page = (
        body(pages.get(f"/jobs/{job.code}/actions/", **FRAGMENT)),
        body(pages.get(f"/jobs/{job.code}/actions/")),
    )
    assert 'role="menu"' in piece
    assert "<html" not in piece
    assert "<html" in page
    for text in ("Open", "Retry", "The job has ended"):
        assert text in piece
        assert text in page


def test_a_job_whose_group_is_gone_still_shows(pages, people, group):
    job = request_and_fail(group, people)
    group.delete()
    assert job.subject in body(pages.get(f"/jobs/{job.code}/"))
    answer = pages.post(f"/jobs/{job.code}/retry/")
    assert answer.status_code == 422
    assert "was to work on was deleted" in body(answer)


def test_a_job_that_nobody_signed_can_not_be_retried_and_says_why(pages, group):
    job = make_failed(group, kind="check_drift")
    answer = pages.post(f"/jobs/{job.code}/retry/")
    assert answer.status_code == 422
    assert "before requests were signed" in body(answer)
    assert Job.objects.count() == 1


def test_no_page_carries_inline_style_or_script(pages, group):
    job = make_failed(group)
    for path in ("/jobs/", f"/jobs/{job.code}/", f"/jobs/{job.code}/retry/", "/jobs/start/self_test/"):
        page = body(pages.get(path))
        assert " style=" not in page
        assert "<script>" not in page
        assert "onclick" not in page


def test_services_and_pages_agree_about_who_acts(people, group):
    actor = Actor.from_user(people["admin"])
    job = request_check_drift(group=group, actor=actor, idempotency_key="k")
    assert (job.actor_name, job.requested_by) == ("the-admin", people["admin"])
