"""The page of a job begins with its outcome and the next step, then tells how long steps took and how far each key came."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from jobs.models import Intent, Job, JobStep, JobTarget
from jobs.pages import key_grid
from keygroups.models import KeyGroup
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from logging_reports.services import Subject, record
from tests.jobs.pages.browsing import FRAGMENT, body, group, make_failed, make_job, make_key, pages, people, static_root

__all__ = ["group", "pages", "people", "static_root"]
pytestmark = pytest.mark.django_db


def sentence(page: str) -> str:
    return re.search(r'class="job-sentence">([^<]*)<', page)[1]


def primary(page: str) -> list[str]:
    return re.findall(r'class="btn btn-sm btn-primary"[^>]*>([^<]*)<', page.partition('id="job-live"')[2])


def page_of(pages, job, query="") -> str:
    return body(pages.get(f"/jobs/{job.code}/{query}"))


def ended(group, **values):
    return make_job(group, started_at=now() - timedelta(seconds=3), finished_at=now(), **values)


def test_a_failure_is_told_once_and_what_helps_is_the_one_primary_button(pages, group):
    page = page_of(pages, make_failed(group))
    assert sentence(page) == "The vault refused the import."
    # Once for people, and once in what is copied for support.
    shown = re.sub(r'data-copy="[^"]*"', "", page.partition('id="job-live"')[2])
    assert shown.count("The vault refused the import.") == 1
    assert primary(page) == ["Open credential"]


def test_a_vault_that_takes_no_hsm_keys_is_replaced_where_the_key_group_is_edited(pages, group):
    page = page_of(pages, ended(group, state="failed", error_what="No.", error_code="azure.standard_vault"))
    assert primary(page) == ["Choose another vault"]
    assert f'href="{reverse("keygroups:group_edit", args=[group.pk])}"' in page


def test_a_failure_that_no_page_cures_is_retried(pages, group):
    job = ended(group, kind="check_drift", state="failed", error_what="It failed.", error_code="azure.soft_deleted")
    page = page_of(pages, job)
    assert primary(page) == ["Retry"]
    assert page.count(f'href="/jobs/{job.code}/retry/"') == 1


@pytest.mark.parametrize(
    ("values", "told", "button"),
    [
        ({"state": "succeeded"}, "Done in 3.0 s.", ["Open key group"]),
        ({"state": "succeeded", "kind": "check_drift"}, "Done in 3.0 s.", ["See the differences"]),
        ({"state": "cancelled"}, "The job was canceled and does nothing more.", []),
    ],
)
def test_each_end_has_its_sentence_and_its_next_step(pages, group, values, told, button):
    page = page_of(pages, ended(group, **values))
    assert (sentence(page), primary(page)) == (told, button)


def test_a_job_that_no_worker_has_taken_says_so_and_offers_nothing_to_be_done(pages, group):
    page = page_of(pages, make_job(group, state="queued"))
    assert sentence(page) == "A worker takes it as soon as one is free."
    assert primary(page) == []


def test_each_step_says_how_long_it_took(pages, group):
    job, began = ended(group, state="succeeded"), now()
    for number, (name, ms) in enumerate({"preflight": 35, "wrap_key": 2500}.items(), 1):
        ended_at = began + timedelta(milliseconds=ms)
        JobStep.objects.create(job=job, name=name, ordinal=number, state="done", started_at=began, finished_at=ended_at)
    assert re.findall(r'class="step-took">([^<]*)<', page_of(pages, job)) == ["35 ms", "2.5 s"]


def with_keys(job, group, states, detail=""):
    found = []
    for number, state in enumerate(states):
        key = make_key(group, f"key-{number}")
        reason = detail if state in {"failed", "not_tried"} else ""
        found.append(JobTarget.objects.create(job=job, key=key, ordinal=number, state=state, detail=reason))
    return found


def test_a_push_of_several_keys_shows_how_far_each_came_and_those_that_failed_first(pages, group):
    job = ended(group, state="partly_failed", error_what="1 of 3 imported, 1 refused, 1 not tried.")
    done, failed, _untried = with_keys(job, group, ["done", "failed", "not_tried"], "Refused by the vault.")
    for target, state in ((done, "ok"), (failed, "refused")):
        subject = Subject(key_id=str(target.key_id), key=target.key.name)
        record("azure.key_wrapped", actor=SYSTEM, message="wrapped", job_id=job.pk, subject=subject)
        Intent.objects.create(
            job=job, operation="import", key=target.key, state=state, sent_at=now(), fence=1, azure_lock="x"
        )
    page = page_of(pages, job)
    rows = re.findall(r"<tr>(.*?)</tr>", page.partition('id="job-keys"')[2], re.DOTALL)[1:]
    names = [re.search(r">(key-\d)<", row)[1] for row in rows]
    assert names == ["key-1", "key-2", "key-0"]
    marks = [re.findall(r'step-mark is-(\w+)" title="(\w+)', row) for row in rows]
    assert marks == [
        [("good", "Wrapped"), ("bad", "Imported")],
        [],
        [("good", "Wrapped"), ("good", "Imported"), ("good", "Recorded")],
    ]
    assert page.count("Refused by the vault.") == 1
    assert "1 of 3 imported" in sentence(page)


def test_a_key_that_the_device_refused_failed_before_its_import(pages, group):
    job = ended(group, state="partly_failed", error_what="1 of 2 imported, 1 refused.")
    with_keys(job, group, ["done", "failed"], "The device refused it.")
    first = page_of(pages, job).partition('id="job-keys"')[2].partition("</tr>")[2].partition("</tr>")[0]
    assert re.findall(r'step-mark is-(\w+)" title="(\w+)', first) == [("bad", "Wrapped")]


def test_of_many_keys_some_are_shown_and_all_when_asked_for_also_in_updates(pages, group, monkeypatch):
    monkeypatch.setattr(key_grid, "KEYS_SHOWN", 3)
    job = make_job(group, kind="create", started_at=now())
    with_keys(job, group, ["done"] * 5)
    page = page_of(pages, job)
    assert "2 more keys are not shown." in page
    assert page.count(">key-") == 3
    whole = page_of(pages, job, "?keys=all")
    assert whole.count(">key-") == 5
    update = re.search(r'hx-get="([^"]*/live/[^"]*)"', whole)[1].replace("&amp;", "&")
    Job.objects.update(state="succeeded", finished_at=now())
    assert body(pages.get(update, **FRAGMENT)).count(">key-") == 5


def test_the_drawer_names_the_users_own_job_that_ended_last(pages, people, group):
    own = ended(group, state="failed", requested_by=people["admin"])
    ended(group, state="succeeded", requested_by=people["operator"])
    page = body(pages.get("/jobs/drawer/", **FRAGMENT))
    assert f'data-ended="{own.code}"' in page
    assert "Synchronize HSM Protected key(s) · pay-1: Failed" in page


# --- The list's filter by key group ----------------------------------------------------------
def test_the_list_ships_no_key_groups_and_finds_one_by_its_name_or_its_id(pages, group):
    job, other = make_job(group), make_job(kind="self_test")
    others = [
        KeyGroup(name=f"g-{n}", key_spec="P-256", credential=group.credential, vault=group.vault, azure_name=f"a-{n}")
        for n in range(300)
    ]
    KeyGroup.objects.bulk_create(others)
    assert "g-299" not in body(pages.get("/jobs/"))
    for query in (group.pk, "PAYMENTS"):
        page = body(pages.get(f"/jobs/?group={query}"))
        assert f'data-open="/jobs/{job.code}/"' in page
        assert f'data-open="/jobs/{other.code}/"' not in page
        assert "Key group: payments" in page
    assert 'value="payments"' in body(pages.get(f"/jobs/?group={group.pk}"))
    assert "There is no key group of this name." in body(pages.get("/jobs/?group=nobody"))


def test_a_part_of_a_name_finds_the_group_that_alone_has_it(pages, group):
    for name in ("orders-1", "orders-2"):
        KeyGroup.objects.create(
            name=name, key_spec="P-256", credential=group.credential, vault=group.vault, azure_name=name
        )
    assert "Key group: payments" in body(pages.get("/jobs/?group=ayme"))
    # The field stands behind "More filters": what is wrong with it is said where the jobs would be.
    answer = body(pages.get("/jobs/?group=orders&seen=x", headers={"HX-Target": "job-results"}))
    assert "Several key groups have this in their name: enter the whole name." in answer
    assert "Key group: orders-2" in body(pages.get("/jobs/?group=orders-2"))


def test_names_are_suggested_best_first(pages, group):
    for name in ("a-pay", "pay"):
        KeyGroup.objects.create(
            name=name, key_spec="P-256", credential=group.credential, vault=group.vault, azure_name=name
        )
    assert pages.get("/keys/groups/names/?q=pay").json() == {"names": ["pay", "payments", "a-pay"]}
    assert pages.get("/keys/groups/names/?q=").json() == {"names": []}
