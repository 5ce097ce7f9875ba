"""Cloud > Edit Tags: the tags of a group's current version, in the vault and here."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.choices import IntentState
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.set_tags.spec import current_version, request_set_tags, why_not_set_tags
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Intent, Job
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError
from logging_reports.models import LogEntry
from tests.jobs.builders import make_keys, messages, work
from tests.jobs.pages.browsing import body

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pushed(group, admin):
    """The active version of a pushed key."""
    work(request_synchronize(keys=make_keys(group, "pay-1", actor=admin), actor=admin))
    return current_version(group)


def tags_in(vault, version):
    return vault.client.get_key(version.azure_name, version.azure_version).properties.tags


def own(tags):
    return {name: value for name, value in tags.items() if not name.startswith("kmes-")}


def test_the_tags_are_replaced_and_the_consoles_own_stay(pushed, vault, admin):
    before = tags_in(vault, pushed)
    job = work(request_set_tags(version=pushed, tags={"cost": "42", "team": "pay"}, actor=admin))
    assert job.state == "succeeded", job.error_what
    after = tags_in(vault, pushed)
    assert own(after) == {"cost": "42", "team": "pay"}
    assert {name: value for name, value in after.items() if name.startswith("kmes-")} == before
    pushed.refresh_from_db()
    assert pushed.tags == {"cost": "42", "team": "pay"}
    assert any("cost=42, team=pay" in line for line in messages(job))


def test_the_row_tells_the_tags_before_and_after(pushed, admin):
    work(request_set_tags(version=pushed, tags={"a": "1"}, actor=admin))
    work(request_set_tags(version=pushed, tags={"b": "2"}, actor=admin))
    row = LogEntry.objects.filter(event="key.tags_changed").latest("sequence")
    assert row.data == {"before": {"a": "1"}, "after": {"b": "2"}}
    assert (row.key, row.version, row.actor_name) == ("pay-1", pushed.azure_version, "ada")


def test_no_tags_leave_the_consoles_own(pushed, vault, admin):
    work(request_set_tags(version=pushed, tags={"a": "1"}, actor=admin))
    work(request_set_tags(version=pushed, tags={}, actor=admin))
    assert own(tags_in(vault, pushed)) == {}


def test_what_was_set_is_no_drift(pushed, group, admin):
    work(request_set_tags(version=pushed, tags={"a": "1"}, actor=admin))
    job = work(request_check_drift(group=group, actor=admin))
    assert any("No drift" in line for line in messages(job))


def test_a_lost_answer_is_looked_for_and_nothing_is_sent_twice(pushed, vault, azure_stand_in, admin):
    fault = {"method": "PATCH", "path": f"/keys/payments/{pushed.azure_version}", "reset": "after"}
    azure_stand_in.control("POST", "/_emulator/faults", fault)
    job = work(request_set_tags(version=pushed, tags={"a": "1"}, actor=admin))
    assert job.state == "queued"
    Job.objects.filter(pk=job.pk).update(run_after=now() - timedelta(seconds=1))
    assert work(job).state == "succeeded"
    assert own(tags_in(vault, pushed)) == {"a": "1"}
    sent = azure_stand_in.control("GET", "/_emulator/requests")
    assert sum(each["method"] == "PATCH" and each["status"] != 401 for each in sent) == 1
    assert Intent.objects.get(job=job).state == IntentState.ADOPTED


def test_a_cancelled_job_in_doubt_is_resolved_by_a_comparison(pushed, group, azure_stand_in, admin, settings):
    fault = {"method": "PATCH", "path": f"/keys/payments/{pushed.azure_version}", "reset": "after"}
    azure_stand_in.control("POST", "/_emulator/faults", fault)
    job = work(request_set_tags(version=pushed, tags={"a": "1"}, actor=admin))
    Job.objects.filter(pk=job.pk).update(run_after=now(), cancel_requested_at=now(), cancel_requested_by="ada")
    assert work(job).state == "cancelled"
    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = settings.KMES_SEND_SECONDS = 0
    job = work(request_check_drift(group=group, actor=admin))
    assert any("No drift" in line for line in messages(job))
    assert CloudVersion.objects.get(pk=pushed.pk).tags == {"a": "1"}


@pytest.mark.parametrize(
    "tags", [{"kmes-app": "x"}, {f"t{number}": "x" for number in range(12)}, {"a": "x" * 257}, {"a\n": "x"}]
)
def test_tags_that_azure_or_the_console_would_not_take_are_refused(pushed, admin, tags):
    with pytest.raises(InputError):
        request_set_tags(version=pushed, tags=tags, actor=admin)


def test_a_group_without_an_active_version_says_so(group, admin):
    assert why_not_set_tags(group) == "The group has no active version in the vault"
    make_keys(group, "pay-1", actor=admin)
    assert why_not_set_tags(KeyGroup.objects.get(pk=group.pk))


def test_a_disabled_version_that_is_not_there_is_refused(pushed, admin):
    CloudVersion.objects.update(state="purged")
    pushed.refresh_from_db()
    with pytest.raises(ConflictError):
        request_set_tags(version=pushed, tags={}, actor=admin)


def test_the_page_shows_the_present_tags_and_starts_the_job(pushed, group, client, admin, django_user_model):
    client.force_login(django_user_model.objects.get(pk=admin.user_id))
    work(request_set_tags(version=pushed, tags={"a": "1"}, actor=admin))
    address = f"/jobs/start/set_tags/?group={group.pk}"
    page = body(client.get(address))
    assert "a=1</textarea>" in page
    assert "The console&#x27;s own tags stay." in page
    refused = client.post(address, {"tags": "no equals sign"})
    assert refused.status_code == 422
    assert "is not a tag" in body(refused)
    assert client.post(address, {"tags": "a=2\nb=3"}).status_code == 302
    job = Job.objects.filter(kind="set_tags").latest("created_at")
    assert job.params["tags"] == {"a": "2", "b": "3"}
    assert work(job).state == "succeeded"


def test_it_stands_in_the_menu_of_a_key_group(pushed, group, client, admin, django_user_model):
    client.force_login(django_user_model.objects.get(pk=admin.user_id))
    menu = body(client.get(f"/keys/groups/{group.pk}/actions/", HTTP_HX_REQUEST="true"))
    assert f"/jobs/start/set_tags/?group={group.pk}" in menu
    assert "Edit Tags" in menu
