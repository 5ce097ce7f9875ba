"""The page that removes a group's keys: what it says, what it asks to be typed, what it refuses."""

from __future__ import annotations

import pytest

from jobs.models import Job
from keygroups.models import KeyGroup, KeyVault, Observation
from kmes.core.clock import now
from tests.jobs.pages.browsing import FRAGMENT, body, group, make_key, pages, people, static_root
from tests.jobs.pages.test_start_pages import device, form_key, push

__all__ = ["device", "group", "pages", "people", "static_root"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def address(group, device):
    push(make_key(group))
    KeyVault.objects.update(recovery_level="Recoverable+Purgeable", recoverable_days=90)
    return f"/jobs/remove/?group={group.pk}"


def send(pages, address, **values):
    answers = {"idempotency_key": form_key(pages.get(address)), "scope": "cloud", "way": "soft", **values}
    return pages.post(address, answers)


def test_the_matrix_says_what_stays_and_until_when(pages, address):
    page = body(pages.get(address))
    for wanted in ("Local", "Cloud", "Both", "destroyed for good", "Can be recovered by Cloud", "How to recover"):
        assert wanted in page


def test_it_is_a_dialog_and_stays_cheap(pages, address, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        piece = body(pages.get(address, **FRAGMENT))
    assert 'id="dialog-title"' in piece
    assert "<html" not in piece


def test_a_soft_deletion_asks_for_the_name_too_because_it_ends_the_use_of_the_key(pages, address):
    assert send(pages, address, typed="").status_code == 422
    assert not Job.objects.exists()
    assert send(pages, address, typed="payments").status_code == 302
    assert Job.objects.get().kind == "cloud_delete"


def test_the_path_of_earlier_scripts_asks_for_no_name_where_nothing_is_lost_for_good(pages, address, group):
    assert send(pages, f"/jobs/start/cloud_delete/?group={group.pk}", typed="").status_code == 302


def test_versions_that_were_made_elsewhere_are_counted_and_named(pages, address, group):
    Observation.objects.create(group=group, azure_version="f" * 32, seen_at=now())
    assert "2 versions in the vault, 1 of them not made here" in body(pages.get(address))


@pytest.mark.parametrize(("scope", "way"), [("local", ""), ("both", "soft"), ("cloud", "purge")])
def test_what_can_not_be_undone_asks_for_the_name(pages, address, scope, way):
    refused = send(pages, address, scope=scope, way=way)
    assert refused.status_code == 422
    assert "Type the name exactly" in body(refused)
    assert not Job.objects.exists()
    assert send(pages, address, scope=scope, way=way, typed="payments").status_code == 302


def test_the_job_carries_what_follows(pages, address):
    send(pages, address, scope="both", way="purge", typed="payments")
    job = Job.objects.get()
    assert [step["kind"] for step in job.params["then"]] == ["cloud_purge", "destroy"]
    assert "If it succeeds" in body(pages.get(job.get_absolute_url()))


def test_the_rotation_is_switched_off_with_it_if_asked(pages, address, group):
    send(pages, address, stop_rotation="on")
    assert KeyGroup.objects.get(pk=group.pk).rotate is False


def test_the_rotation_stays_if_not_asked(pages, address, group):
    send(pages, address)
    assert KeyGroup.objects.get(pk=group.pk).rotate is True


def test_a_doubled_form_is_one_job(pages, address):
    answers = {"idempotency_key": form_key(pages.get(address)), "scope": "cloud", "way": "soft"}
    first = pages.post(address, answers)
    assert pages.post(address, answers).headers["Location"] == first.headers["Location"]
    assert Job.objects.count() == 1


def test_purge_protection_bars_the_purge_and_says_so(pages, address):
    KeyVault.objects.update(recovery_level="Recoverable")
    assert "The vault has purge protection" in body(pages.get(address))
    assert send(pages, address, way="purge", typed="payments").status_code == 422


def test_a_custodian_is_told_which_right_the_purge_needs(client, people, address):
    client.force_login(people["custodian"])
    assert "Cloud Keys:Purge" in body(client.get(address))


@pytest.mark.parametrize(("role", "status"), [("operator", 403), ("auditor", 403), ("custodian", 200)])
def test_only_who_may_delete_sees_it(client, people, address, role, status):
    client.force_login(people[role])
    assert client.get(address).status_code == status


def test_without_anything_in_the_vault_only_local_can_be_chosen(pages, group, device):
    make_key(group)
    page = body(pages.get(f"/jobs/remove/?group={group.pk}&scope=cloud"))
    assert "The vault holds no key of this group." in page
    assert 'value="local" checked' in page


def test_an_unknown_group_is_not_found(pages):
    assert pages.get("/jobs/remove/?group=nonsense").status_code == 404
