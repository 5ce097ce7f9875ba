"""How far a job is: keys beside steps, one line per job, and what a waiting job waits for and until when."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from jobs.models import JobStep, JobTarget
from kmes.core.clock import now
from tests.jobs.pages.browsing import body, group, make_job, make_key, pages, people, static_root

__all__ = ["group", "pages", "people", "static_root"]
pytestmark = pytest.mark.django_db


def with_keys(job, group, states: list[str]) -> None:
    for number, state in enumerate(states):
        JobTarget.objects.create(job=job, key=make_key(group, f"key-{number}"), ordinal=number, state=state)


@pytest.mark.parametrize("path", ["/jobs/", "/jobs/drawer/", "page"])
def test_a_job_of_one_step_counts_the_keys_it_has_made(pages, group, path):
    names = [f"key-{number}" for number in range(4)]
    job = make_job(group, kind="create", params={"names": names}, state="running", started_at=now())
    JobStep.objects.create(job=job, name="generate", ordinal=1, state="running", started_at=now())
    with_keys(job, group, ["done", "done", "done"])
    page = body(pages.get(job.get_absolute_url() if path == "page" else path))
    assert "3 of 4 keys" in page
    assert "of 1 step" not in page


def test_a_push_of_several_keys_says_how_many_are_in_the_vault_beside_its_steps(pages, group):
    job = make_job(group, state="running", started_at=now())
    JobStep.objects.create(job=job, name="preflight", ordinal=1, state="done", started_at=now())
    JobStep.objects.create(job=job, name="import_key", ordinal=2, state="running", started_at=now())
    with_keys(job, group, ["done", "pending", "pending"])
    for path in ("/jobs/", "/jobs/drawer/", job.get_absolute_url()):
        assert "Import key, 1 of 3 keys, 1 of 7 steps" in body(pages.get(path)), path


def test_a_list_is_renewed_when_a_key_is_done(pages, group):
    job = make_job(group, state="running", started_at=now())
    with_keys(job, group, ["pending", "pending"])
    seen = re.search(r"seen=(\w+)", body(pages.get("/jobs/")))
    assert seen
    headers = {"HX-Request": "true", "HX-Target": "job-results"}
    assert pages.get(f"/jobs/?seen={seen[1]}", headers=headers).status_code == 204
    job.targets.filter(ordinal=0).update(state="done")
    assert pages.get(f"/jobs/?seen={seen[1]}", headers=headers).status_code == 200


def test_a_waiting_job_says_when_it_looks_again_and_no_step_of_it_is_called_running(pages, group):
    later = now() + timedelta(minutes=4)
    job = make_job(group, state="queued", waiting_for="the vault answers", run_after=later)
    JobStep.objects.create(job=job, name="preflight", ordinal=1, state="running", started_at=now())
    listed = body(pages.get("/jobs/"))
    assert "the vault answers" in listed
    assert f'Next look: <time datetime="{later.isoformat()}"' in listed.replace("<span>", "")
    steps = body(pages.get(job.get_absolute_url())).partition("<h2>Steps</h2>")[2].partition("</ol>")[0]
    assert "Waiting" in steps
    assert "Running" not in steps


def test_the_filters_are_one_bar_and_the_rare_ones_a_panel(pages, group):
    make_job(group)
    page = body(pages.get("/jobs/"))
    bar, _details, panel = page[
        page.index('class="filter-bar"') : page.index("</form>", page.index('class="filter-bar"'))
    ].partition("<details")
    for name in ("q", "kind", "state", "range"):
        assert f'name="{name}"' in bar
    for name in ("group", "vault", "since", "until"):
        assert f'name="{name}"' in panel
    assert '<details class="popup" open' not in page
    assert '<details class="popup" open' in body(pages.get("/jobs/?since=nonsense"))
