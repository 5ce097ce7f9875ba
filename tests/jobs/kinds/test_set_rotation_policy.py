"""A Rotate action on a BYOK key: found by a comparison, an alarm, and replaced by Notify in one step."""

from __future__ import annotations

from datetime import timedelta

import pytest
from azure.keyvault.keys import KeyRotationLifetimeAction, KeyRotationPolicy

from jobs.choices import IntentState
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.set_rotation_policy.spec import request_set_rotation_policy, why_not_replace
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Intent, Job
from keygroups.models import KeyGroup, KeyReading
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, PermissionRefused
from logging_reports.models import LogEntry, Notice
from tests.jobs.builders import CLIENT, make_keys, messages, work
from tests.jobs.pages.browsing import body
from tests.people import make_people

pytestmark = pytest.mark.django_db(transaction=True)
FOUND = "azure.rotate_action_found"


@pytest.fixture
def pushed(group, admin):
    """The group, with one key in the vault."""
    work(request_synchronize(keys=make_keys(group, "pay-1", actor=admin), actor=admin))
    return KeyGroup.objects.select_related("vault", "credential").get(pk=group.pk)


def rotate_in_azure(vault, *, expires="P120D"):
    action = KeyRotationLifetimeAction("Rotate", time_after_create="P90D")
    vault.client.update_key_rotation_policy(
        "payments", KeyRotationPolicy(), lifetime_actions=[action], expires_in=expires
    )


def actions(vault):
    policy = vault.client.get_key_rotation_policy("payments")
    return [str(getattr(each.action, "value", each.action)) for each in policy.lifetime_actions], policy.expires_in


def compare(group, admin):
    job = work(request_check_drift(group=group, actor=admin))
    assert job.state == "succeeded", job.error_what
    return job


def test_a_rotate_action_is_an_alarm_once_and_a_message_each_time(pushed, vault, admin):
    rotate_in_azure(vault)
    assert any("Azure would replace the HSM's key" in line for line in messages(compare(pushed, admin)))
    assert any("Rotate P90D after creation" in line for line in messages(compare(pushed, admin)))
    row = LogEntry.objects.get(event=FOUND)
    assert (row.severity, row.group) == ("warning", "payments")
    notice = Notice.objects.get(event=FOUND)
    assert (notice.topic, notice.url) == ("drift", f"/keys/vaults/{pushed.vault_id}/")


def test_an_alarm_that_comes_back_is_raised_again(pushed, vault, admin):
    rotate_in_azure(vault)
    compare(pushed, admin)
    work(request_set_rotation_policy(group=pushed, actor=admin))
    rotate_in_azure(vault)
    compare(pushed, admin)
    assert LogEntry.objects.filter(event=FOUND).count() == 2


def test_a_key_with_azures_usual_policy_raises_none(pushed, admin):
    compare(pushed, admin)
    reading = KeyReading.objects.get(group=pushed)
    assert reading.rotation["notify_before_expiry"] == "P30D"
    assert reading.platforms == {"2": 1}
    assert not LogEntry.objects.filter(event=FOUND).exists()


def test_a_right_that_is_missing_is_no_error(pushed, azure_stand_in, admin):
    words = ["get", "list", "create", "import", "update", "delete"]
    azure_stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "permissions": words})
    compare(pushed, admin)
    reading = KeyReading.objects.get(group=pushed)
    assert reading.rotation is None
    assert "Getrotationpolicy" in reading.rotation_problem
    assert not LogEntry.objects.filter(event="azure.permission_missing").exists()


def test_it_is_replaced_by_notify_and_the_rest_stays(pushed, vault, admin):
    rotate_in_azure(vault)
    compare(pushed, admin)
    job = work(request_set_rotation_policy(group=pushed, actor=admin))
    assert job.state == "succeeded", job.error_what
    assert actions(vault) == (["Notify"], "P120D")
    assert KeyReading.objects.get(group=pushed).rotation["rotate_after_create"] == ""
    assert LogEntry.objects.filter(event="azure.rotation_policy_set", job_code=job.code).count() == 1
    assert Intent.objects.get(job=job).state == IntentState.OK


def test_a_key_without_a_rotate_action_is_left_alone(pushed, azure_stand_in, admin):
    azure_stand_in.control("DELETE", "/_emulator/requests")
    job = work(request_set_rotation_policy(group=pushed, actor=admin))
    assert job.state == "succeeded"
    assert not [e for e in azure_stand_in.control("GET", "/_emulator/requests") if e["method"] == "PUT"]
    assert KeyReading.objects.get(group=pushed).rotation["notify_before_expiry"] == "P30D"


def test_a_lost_answer_is_looked_for_and_nothing_is_sent_twice(pushed, vault, azure_stand_in, admin):
    rotate_in_azure(vault)
    azure_stand_in.control(
        "POST", "/_emulator/faults", {"method": "PUT", "path": "/keys/payments/rotationpolicy", "reset": "after"}
    )
    job = work(request_set_rotation_policy(group=pushed, actor=admin))
    assert job.state == "queued"
    azure_stand_in.control("DELETE", "/_emulator/requests")
    Job.objects.filter(pk=job.pk).update(run_after=now() - timedelta(seconds=1))
    assert work(job).state == "succeeded"
    assert actions(vault)[0] == ["Notify"]
    assert not [e for e in azure_stand_in.control("GET", "/_emulator/requests") if e["method"] == "PUT"]
    assert Intent.objects.get(job=job).state == IntentState.ADOPTED


def test_a_cancelled_job_in_doubt_is_resolved_by_a_comparison(pushed, vault, azure_stand_in, admin, settings):
    rotate_in_azure(vault)
    azure_stand_in.control(
        "POST", "/_emulator/faults", {"method": "PUT", "path": "/keys/payments/rotationpolicy", "reset": "after"}
    )
    job = work(request_set_rotation_policy(group=pushed, actor=admin))
    Job.objects.filter(pk=job.pk).update(run_after=now(), cancel_requested_at=now(), cancel_requested_by="ada")
    assert work(job).state == "cancelled"
    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = settings.KMES_SEND_SECONDS = 0
    compare(pushed, admin)
    assert Intent.objects.get(job=job).state == IntentState.VOID
    assert KeyReading.objects.get(group=pushed).rotation["rotate_after_create"] == ""


def test_a_key_that_is_not_there_is_refused(group, admin):
    with pytest.raises(ConflictError):
        request_set_rotation_policy(group=group, actor=admin)


def test_it_needs_a_right(pushed):
    with pytest.raises(PermissionRefused):
        request_set_rotation_policy(group=pushed, actor=Actor.from_user(make_people("r")["auditor"]))


def test_the_page_says_what_will_happen_and_starts_the_job(pushed, vault, client, admin, django_user_model):
    rotate_in_azure(vault)
    compare(pushed, admin)
    client.force_login(django_user_model.objects.get(pk=admin.user_id))
    address = f"/jobs/start/set_rotation_policy/?group={pushed.pk}"
    page = body(client.get(address))
    assert "Rotate P90D after creation, Notify P30D before expiry" in page
    assert "CIS Azure 8.3.9" in page
    assert client.post(address, {}).status_code == 302
    job = Job.objects.get(kind="set_rotation_policy")
    assert work(job).state == "succeeded"
    assert "has no Rotate action" in why_not_replace(pushed)
    assert LogEntry.objects.filter(event="job.requested", job_code=job.code).exists()


def test_the_vaults_page_shows_the_alarm_and_the_way_out(pushed, vault, client, admin, django_user_model):
    rotate_in_azure(vault)
    compare(pushed, admin)
    client.force_login(django_user_model.objects.get(pk=admin.user_id))
    page = body(client.get(f"/keys/vaults/{pushed.vault_id}/"))
    assert "Azure rotates 1 key of this vault by itself" in page
    assert f"/jobs/start/set_rotation_policy/?group={pushed.pk}" in page
    work(request_set_rotation_policy(group=pushed, actor=admin))
    page = body(client.get(f"/keys/vaults/{pushed.vault_id}/"))
    assert "Notify only" in page
    assert "Azure rotates" not in page
    assert "set_rotation_policy" not in page
