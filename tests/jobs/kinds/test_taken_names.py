"""A push never goes into an Azure key that somebody else made, unless a person has adopted it knowingly."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from jobs.schedule import scans
from keygroups import azure_names
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, PermissionRefused
from logging_reports.models import LogEntry
from tests.jobs.builders import make_group, make_keys, work

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def foreign(vault):
    """Two versions that somebody else made under the group's name."""
    first = vault.client.create_ec_key("payments", hardware_protected=True, tags={"owner": "billing team"})
    second = vault.client.create_ec_key("payments", hardware_protected=True, enabled=False)
    return [first.properties.version, second.properties.version]


@pytest.fixture
def blocked(group, admin, foreign):
    """A push that the foreign key stopped."""
    (key,) = make_keys(group, "one", actor=admin)
    return work(request_synchronize(keys=[key], actor=admin))


@pytest.fixture
def pages(client, admin):
    """The pages as the administrator sees them."""
    client.force_login(get_user_model().objects.get(pk=admin.user_id))
    return client


def adopt_url(job, group):
    return f"/jobs/{job.code}/adopt/{group.pk}/"


def test_the_first_push_stops_and_says_which_versions_stand_there_since_when_and_who_tagged_them(
    blocked, foreign, vault
):
    assert (blocked.state, blocked.error_code) == ("failed", "name_taken")
    assert blocked.error_what.startswith("Blocked: ")
    for words in ("2 versions", *foreign, "since 20", "enabled", "disabled", "tagged owner=billing team", "no tags"):
        assert words in blocked.error_what, words
    assert "Adopt" in blocked.error_remedy
    assert "choose another Azure key name" in blocked.error_remedy
    assert sorted(vault.versions("payments")) == sorted(foreign)
    assert vault.keks() == []
    assert not LogEntry.objects.filter(event="azure.kek_created").exists(), "it stops before anything is made"
    assert LogEntry.objects.filter(event="azure.name_taken").exists()
    assert blocked.targets.get().state == "not_tried"


def test_a_person_adopts_the_name_and_the_push_goes_on(blocked, group, foreign, vault, pages, admin):
    page = pages.get(blocked.get_absolute_url()).content.decode()
    assert adopt_url(blocked, group) in page
    shown = pages.get(adopt_url(blocked, group)).content.decode()
    for words in (*foreign, "owner=billing team", "becomes the current version"):
        assert words in shown, words
    sent = {"typed": "payments", "version": foreign}
    wrong = pages.post(adopt_url(blocked, group), {**sent, "typed": "payment"})
    assert (wrong.status_code, blocked.retries.count()) == (422, 0)
    assert pages.post(adopt_url(blocked, group), sent).status_code == 302
    again = work(blocked.retries.get())
    assert again.state == "succeeded", again.error_what
    assert len(vault.versions("payments")) == 3
    row = LogEntry.objects.get(event="group.name_adopted")
    assert row.data["changed"]["adopted_versions"] == [[], sorted(foreign)]
    assert row.actor_name == "ada"
    # Adopted versions are no drift, and the next pushes and rotations go on.
    assert KeyGroup.objects.get(pk=group.pk).differences == 0
    comparison = work(request_check_drift(group=group, actor=admin))
    assert "No drift" in " ".join(comparison.messages.values_list("text", flat=True))
    fresh = KeyGroup.objects.select_related("vault", "credential").get(pk=group.pk)
    assert work(request_rotation(group=fresh, actor=admin)).state == "succeeded"


def test_reading_the_page_adopts_nothing(blocked, group, pages):
    pages.get(adopt_url(blocked, group))
    assert KeyGroup.objects.get(pk=group.pk).adopted_versions == []


def test_whoever_may_not_manage_groups_adopts_nothing(blocked, group, foreign, client, django_user_model):
    operator = django_user_model.objects.create_user("otto", role="operator")
    client.force_login(operator)
    assert client.post(adopt_url(blocked, group), {"typed": "payments", "version": foreign}).status_code == 403
    with pytest.raises(PermissionRefused):
        azure_names.adopt_name(group=group, versions=foreign, actor=Actor.from_user(operator))
    assert KeyGroup.objects.get(pk=group.pk).adopted_versions == []


def test_other_versions_than_those_shown_are_not_adopted(blocked, group, foreign, admin, vault):
    with pytest.raises(ConflictError, match="has changed since it was shown"):
        azure_names.adopt_name(group=group, versions=foreign[:1], actor=admin)
    assert KeyGroup.objects.get(pk=group.pk).adopted_versions == []


def test_a_scheduled_rotation_never_adopts_and_stays_due(group, foreign, vault):
    due = now() - timedelta(minutes=5)
    KeyGroup.objects.filter(pk=group.pk).update(
        rotation_anchor_at=due - timedelta(days=90), next_due_at=due, rotate=True
    )
    (job_id,) = scans.scan_rotations()
    job = work(Job.objects.get(pk=job_id))
    assert (job.state, job.error_code) == ("failed", "name_taken")
    assert sorted(vault.versions("payments")) == sorted(foreign)
    slot = group.rotation_slots.get()
    assert (slot.state, slot.next_try_at is not None) == ("failed", True)
    assert "Blocked" in slot.last_error


def test_an_adopted_name_is_asked_about_again_when_another_key_stands_there(blocked, group, foreign, admin, vault):
    azure_names.adopt_name(group=group, versions=foreign, actor=admin)
    vault.client.begin_delete_key("payments").wait()
    vault.client.purge_deleted_key("payments")
    vault.client.create_ec_key("payments", hardware_protected=True)
    (key,) = make_keys(group, "two", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert (job.state, job.error_code) == ("failed", "name_taken")
    assert len(vault.versions("payments")) == 1


def test_a_deleted_key_of_somebody_else_stops_the_push_too(group, admin, foreign, vault):
    vault.client.begin_delete_key("payments").wait()
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert (job.state, job.error_code) == ("failed", "name_taken")
    assert "did not make" in job.error_what
    assert "kept until" in job.error_what
    assert "Cloud > Recover" not in job.error_remedy, "nobody here can recover it"


def test_in_a_push_to_several_groups_the_others_go_on_and_the_page_offers_the_adoption(
    group, credential, admin, foreign, vault, pages
):
    other = make_group(credential, group.vault.url, name="refunds")
    keys = [*make_keys(group, "one", actor=admin), *make_keys(other, "two", actor=admin)]
    job = work(request_synchronize(keys=keys, actor=admin))
    assert job.state == "partly_failed"
    assert len(vault.versions("refunds")) == 1
    assert adopt_url(job, group) in pages.get(job.get_absolute_url()).content.decode()


def test_versions_of_ours_whose_rows_were_lost_are_known_again_and_not_asked_about(group, admin, vault):
    keys = make_keys(group, "one", "two", actor=admin)
    work(request_synchronize(keys=keys, actor=admin))
    CloudVersion.objects.all().delete()
    KeyGroup.objects.update(cloud_state="absent")
    (key,) = make_keys(group, "three", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "succeeded", job.error_what
    assert len(vault.versions("payments")) == 3
    states = dict(CloudVersion.objects.values_list("key__name", "state"))
    assert states == {"one": "superseded", "two": "superseded", "three": "active"}


def test_another_installation_of_this_console_is_named(group, admin, vault):
    vault.client.create_ec_key("payments", hardware_protected=True, tags={"kmes-app": "kmes", "kmes-job": "ABC123"})
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert "another installation of this console, job ABC123" in job.error_what


def test_the_confirmation_warns_of_a_key_that_was_seen_before(blocked, group, pages):
    page = pages.get(f"/jobs/start/rotate/?group={group.pk}").content.decode()
    assert "asks whether to adopt that key" in page
