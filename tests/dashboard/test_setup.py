"""The wizard: each step read from the rows, what it says to do, who may do it, and that it can be left and resumed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from jobs.certifications.forms import CertificationForm
from jobs.engine import fresh_grants
from jobs.models import Job, JobStep
from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.core.clock import now
from kmes.dashboard.setup.forms import FirstPushForm
from kmes.dashboard.setup.steps import read_steps
from logging_reports.models import LogEntry
from tests.cloudcreds.conftest import admin, credential, device_row, mfk, people
from tests.people import body, pages

__all__ = ["admin", "credential", "device_row", "mfk", "pages", "people"]
# To a moment; the warning of a session's end has none before it is shown.
COUNTS_DOWN = 'data-countdown="2'
pytestmark = pytest.mark.django_db


def step(number):
    return next(one for one in read_steps() if one.number == number)


def texts(number) -> str:
    return " ".join(f"{finding.text} {finding.remedy}" for finding in step(number).findings)


def make_vault(credential, **values):
    row = {
        "name": "kv-one",
        "url": "https://kv-one.vault.azure.net",
        "tier": "premium",
        "recovery_level": "Recoverable+Purgeable",
        **values,
    }
    return KeyVault.objects.create(credential=credential, **row)


def make_pushed(vault, name="payments", version="a" * 32):
    group = KeyGroup.objects.create(
        name=name, key_spec="P-256", credential=vault.credential, vault=vault, azure_name=name
    )
    key = Key.objects.create(
        group=group, name="pay-1", key_spec="P-256", public_spki=b"p", wrapped_private=b"w", created_by="ada"
    )
    return CloudVersion.objects.create(
        key=key,
        group=group,
        vault=vault,
        azure_name=name,
        azure_version=version,
        state="active",
        pushed_at=now(),
    )


# --- 1 ---------------------------------------------------------------------------------------
def test_without_a_device_the_first_step_says_how_to_get_one(pages):
    assert not step(1).is_done
    assert "hsm_init" in texts(1)
    assert pages.get("/setup/").url == "/setup/1/"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"self_test": []}, "was not run yet"),
        ({"self_test": [{"name": "AES", "ok": False, "detail": "x"}]}, "Its self-test failed."),
        ({"availability": "wrong_pin"}, "unavailable (wrong_pin)"),
        ({"is_designated": False}, "No device is designated."),
    ],
)
def test_a_device_must_serve_be_tested_and_designated(change, sentence, device_row):
    type(device_row).objects.update(self_test=[{"name": "AES", "ok": True, "detail": "x"}], self_test_at=now())
    assert step(1).is_done
    type(device_row).objects.update(**change)
    assert not step(1).is_done
    assert sentence in texts(1)


# --- 2 ---------------------------------------------------------------------------------------
def choose_password(user):
    """Leave the row that the profile page leaves."""
    LogEntry(
        service="audit",
        sequence=LogEntry.objects.count() + 1000,
        at=now(),
        category="access",
        severity="info",
        event="user.password_changed",
        actor_name=user.username,
        actor_trigger="user",
        actor_user_id=user.pk,
        previous_hash="0" * 64,
        hash="0" * 64,
    ).save(force_insert=True)


# --- 3 and 4 ---------------------------------------------------------------------------------
def test_a_credential_counts_once_its_permissions_were_tried_on_a_vault(pages, credential):
    assert "was not tested on a vault yet" in texts(3)
    assert "List Key Vaults" in body(pages.get("/setup/3/"))
    vault = make_vault(credential)
    assert "Test Connection" in body(pages.get("/setup/3/"))
    failed = [{"name": "Import", "ok": False}]
    KeyVault.objects.update(last_test=failed, last_test_ok=False, last_tested_at=now())
    assert "failed on vault kv-one: Import." in texts(3)
    assert not step(3).is_done
    KeyVault.objects.filter(pk=vault.pk).update(last_test_ok=True)
    assert step(3).is_done


def test_an_expired_secret_keeps_the_step_open(credential):
    make_vault(credential, last_test_ok=True, last_tested_at=now())
    assert step(3).is_done
    CloudCredential.objects.update(sign_in_expires_on="2020-01-01")
    assert not step(3).is_done
    assert "expired on 2020-01-01" in texts(3)


@pytest.mark.parametrize(
    ("values", "is_done", "sentence"),
    [
        ({}, True, "tier Premium, soft-delete on, purge protection off"),
        ({"recovery_level": "Recoverable"}, True, "purge protection on"),
        ({"tier": "standard"}, False, "It holds no HSM keys"),
        ({"tier": "unknown"}, False, "tier Not known yet"),
        ({"recovery_level": ""}, False, "soft-delete not asked yet"),
    ],
)
def test_a_vault_is_ready_when_premium_and_its_recovery_known(values, is_done, sentence, credential):
    make_vault(credential, **values)
    assert step(4).is_done is is_done
    assert sentence in texts(4)


def test_a_vault_that_one_credential_may_not_use_is_offered_by_the_other(pages, credential):
    refused = make_vault(credential, last_test_ok=False, last_tested_at=now())
    assert not step(4).is_done
    assert "The last test of this credential on it failed" in texts(4)
    other = CloudCredential.objects.create(
        name="Zeta", tenant_id=credential.tenant_id, client_id="2" * 8, cloud="public"
    )
    granted = make_vault(other, last_test_ok=True, last_tested_at=now())
    assert step(4).is_done
    first, second = step(4).findings
    assert (first.ok, second.ok) == (True, None)
    assert "credential Zeta" in first.text
    assert FirstPushForm().fields["vault"].initial == granted
    assert CertificationForm().fields["vault"].initial == granted
    KeyVault.objects.filter(pk=refused.pk).update(last_test_ok=None)
    KeyVault.objects.filter(pk=granted.pk).update(last_test_ok=False)
    assert FirstPushForm().fields["vault"].initial == refused


def test_a_vault_can_be_recorded_by_its_name_and_a_wrong_one_is_refused_at_its_field(pages, credential):
    answer = pages.post("/setup/4/vault/", {"credential": credential.pk, "vault": "kv-typed"})
    assert answer.url == "/setup/4/"
    assert KeyVault.objects.get().url == "https://kv-typed.vault.azure.net"
    answer = pages.post("/setup/4/vault/", {"credential": credential.pk, "vault": "https://evil.example"})
    assert answer.status_code == 422
    assert 'id="id_vault_error"' in body(answer)


# --- 5 ---------------------------------------------------------------------------------------
def test_the_first_push_makes_group_and_job_once(pages, credential):
    vault = make_vault(credential)
    sent = {
        "vault": vault.pk,
        "name": "first-group",
        "key_spec": "P-256",
        "idempotency_key": "0b3c9f5e-5ad8-4a0c-9a86-a5d6ad5b2a11",
    }
    for _twice in range(2):
        assert pages.post("/setup/5/push/", sent).url == "/setup/5/"
    job = Job.objects.get()
    assert (job.kind, job.group.name, job.group.vault) == ("rotate", "first-group", vault)
    text = body(pages.get("/setup/5/"))
    assert str(job) in text
    assert 'data-follows="jobs keys"' in text


def test_a_taken_name_is_said_at_its_field_and_nothing_is_made(pages, credential):
    vault = make_vault(credential)
    make_pushed(vault)
    answer = pages.post("/setup/5/push/", {"vault": vault.pk, "name": "payments", "key_spec": "P-256"})
    assert answer.status_code == 422
    assert "exists already" in body(answer).partition('id="id_name_error"')[2][:300]
    assert not Job.objects.exists()


def test_the_push_is_watched_to_its_end(pages, credential):
    vault = make_vault(credential)
    pages.post("/setup/5/push/", {"vault": vault.pk, "name": "first-group", "key_spec": "P-256"})
    job = Job.objects.get()
    text = body(pages.get("/setup/5/"))
    # Nothing is left to do meanwhile: the form for one more group waits behind its heading.
    assert "Make a key group below" not in text
    assert "btn-primary" not in text.partition("/setup/5/push/")[2].partition("</form>")[0]
    digest = text.partition("/setup/5/?seen=")[2].partition('"')[0]
    asked = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "setup-findings"}
    assert pages.get("/setup/5/", {"seen": digest}, **asked).status_code == 204
    JobStep.objects.create(job=job, name="create_kek", ordinal=1, state="running", started_at=now())
    piece = body(pages.get("/setup/5/", {"seen": digest}, **asked))
    assert "Create ephemeral KEK" in piece
    assert "<html" not in piece
    Job.objects.update(state="failed", error_what="The vault refused.", error_remedy="Grant Import.")
    piece = body(pages.get("/setup/5/", {"seen": digest}, **asked))
    assert "Grant Import." in piece
    assert "Make a key group below" in piece
    assert "hx-get" not in piece
    # The form was folded while the push went on; it opens with the reason, and the page asked for later has it, too.
    for text in (piece, body(pages.get("/setup/5/"))):
        form = text.partition('id="first-push"')[2]
        assert "The push of “first-group” failed:" in form
        assert "The vault refused. <strong>Grant Import.</strong>" in form
        assert f"/jobs/{job.code}/" in form
        assert "btn-primary" in form.partition("<form")[2]
        assert "<details" not in form.partition("</form>")[0]
    assert not step(5).is_done


def test_a_pushed_key_ends_the_wizard(pages, credential):
    version = make_pushed(make_vault(credential))
    assert step(5).is_done
    assert "a" * 32 in texts(5)
    assert "Prove it by a signature" not in body(pages.get("/setup/5/"))
    KeyGroup.objects.filter(pk=version.group_id).update(usage=["sign"])
    assert "Prove it by a signature" in body(pages.get("/setup/5/"))
    CloudVersion.objects.update(state="soft_deleted")
    assert "Prove it by a signature" not in body(pages.get("/setup/5/"))


def test_the_push_that_is_shown_is_the_last_one_that_the_vault_still_has(pages, credential):
    vault = make_vault(credential)
    older = make_pushed(vault, name="older", version="b" * 32)
    newer = make_pushed(vault, name="newer", version="c" * 32)
    assert "c" * 32 in texts(5)
    CloudVersion.objects.filter(pk=newer.pk).update(state="purged")
    assert older.azure_version in texts(5)
    CloudVersion.objects.update(state="purged")
    assert step(5).is_done


# --- All -------------------------------------------------------------------------------------
def test_every_step_can_be_opened_skipped_and_left(pages, credential):
    for number in range(1, 6):
        text = body(pages.get(f"/setup/{number}/"))
        assert f"Step {number} of 5" in text
        assert "Finish later" in text
        assert "Learn why" in text
    assert pages.get("/setup/6/").status_code == 404
    assert "Skip for now" in body(pages.get("/setup/1/"))
    assert pages.get("/setup/done/").status_code == 200


def test_a_job_started_from_the_wizard_leads_back_to_it(pages, device_row):
    answer = pages.post("/jobs/start/self_test/?next=/setup/1/")
    assert answer.url == "/setup/1/"
    assert 'data-follows="jobs keys"' in body(pages.get("/setup/1/"))
    assert pages.post("/jobs/start/self_test/?next=https://evil.example/").url.startswith("/jobs/")


def start_test(pages, credential, back):
    vault = make_vault(credential)
    pages.post(f"/jobs/start/test_connection/?credential={credential.pk}&next={back}", {"vault": vault.pk})
    return Job.objects.get()


def miss_a_right(job):
    """Leave the rows of a worker that tried it and was refused."""
    fresh_grants.record_wait(job)
    Job.objects.filter(pk=job.pk).update(run_after=now() + timedelta(seconds=60), waiting_for="a new grant")


@pytest.mark.parametrize(("back", "awaits"), [("/setup/3/", True), ("/setup/4/", True), ("", False), ("/keys/", False)])
def test_a_connection_test_that_was_started_here_waits_for_grants(back, awaits, pages, credential):
    job = start_test(pages, credential, back)
    refused = CloudError(CloudErrorKind.PERMISSION, "No.")
    assert (fresh_grants.pause_after(job, refused) is not None) is awaits


def test_so_does_the_first_push(pages, credential):
    pages.post("/setup/5/push/", {"vault": make_vault(credential).pk, "name": "first-group", "key_spec": "P-256"})
    assert fresh_grants.pause_after(Job.objects.get(), CloudError(CloudErrorKind.PERMISSION, "No.")) is not None


@pytest.mark.parametrize("page", ["/setup/3/", "credential"])
def test_the_wait_for_a_grant_is_counted_down_and_can_be_ended(page, pages, credential):
    address = credential.get_absolute_url() if page == "credential" else page
    job = start_test(pages, credential, "/setup/3/")
    before = body(pages.get(address))
    assert COUNTS_DOWN not in before
    miss_a_right(job)
    text = body(pages.get(address))
    job.refresh_from_db()
    assert "A new grant in Azure needs up to 15 minutes" in text
    assert f'data-countdown="{job.run_after.isoformat()}"' in text
    assert f"/jobs/{job.code}/cancel/" in text
    assert "Stop trying" in text


def test_who_ends_the_wait_stays_in_the_set_up(pages, credential):
    job = start_test(pages, credential, "/setup/3/")
    miss_a_right(job)
    assert pages.post(f"/jobs/{job.code}/cancel/?next=/setup/3/").url == "/setup/3/"
    assert COUNTS_DOWN not in body(pages.get("/setup/3/"))


@pytest.mark.parametrize("role", ["custodian", "operator", "auditor"])
def test_who_lacks_a_right_is_told_which_instead_of_a_button(role, client, people, credential, device_row):
    client.force_login(people[role])
    assert "Run self-test needs the right “Device:Manage”." in body(client.get("/setup/1/"))
    assert client.post("/setup/4/vault/", {"credential": credential.pk, "vault": "kv-typed"}).status_code == 403
    if role != "custodian":
        assert client.post("/setup/5/push/", {}).status_code == 403


def test_the_dashboard_shows_the_set_up_until_it_is_done(pages, people, credential, device_row):
    assert "of 5 steps done" in body(pages.get("/"))
    type(device_row).objects.update(self_test=[{"name": "AES", "ok": True, "detail": "x"}], self_test_at=now())
    second = get_user_model().objects.create_user("second", role="admin")
    choose_password(second)
    choose_password(people["admin"])
    make_pushed(make_vault(credential, last_test_ok=True, last_tested_at=now()))
    assert "of 5 steps done" not in body(pages.get("/"))
    assert pages.get("/setup/").url == "/setup/done/"
    KeyVault.objects.update(last_test_ok=False)
    assert pages.get("/setup/").url == "/setup/3/"
    assert "of 5 steps done" not in body(pages.get("/")), "a failed test needs attention, and no second set-up"


@pytest.mark.parametrize("role", ["custodian", "operator", "auditor"])
def test_the_dashboard_shows_no_set_up_to_who_cannot_do_it(role, client, people):
    client.force_login(people[role])
    assert "of 5 steps done" not in body(client.get("/"))


def test_the_pages_cost_few_queries(pages, credential, device_row, django_assert_max_num_queries):
    for number in range(6):
        make_vault(credential, name=f"kv-{number}", url=f"https://kv-{number}.vault.azure.net")
    make_pushed(make_vault(credential))
    for address in ("/setup/", "/setup/done/", *(f"/setup/{number}/" for number in range(1, 6))):
        with django_assert_max_num_queries(12):
            pages.get(address)


# --- Where it begins and what failed ---------------------------------------------------------
def test_a_listing_that_failed_is_said_on_the_step_until_another_one_went_well(pages, credential):
    why = {"error_what": "Azure rejected the client secret.", "error_remedy": "Enter it again."}
    Job.objects.create(
        kind="list_vaults", subject="Contoso", credential=credential, state="failed", run_after=now(), **why
    )
    page = body(pages.get("/setup/3/"))
    assert "Azure rejected the client secret." in page
    assert "every 1s" not in page
    Job.objects.create(kind="list_vaults", subject="Contoso", credential=credential, state="succeeded", run_after=now())
    assert "Azure rejected the client secret." not in body(pages.get("/setup/3/"))


def test_a_first_sign_in_ends_in_the_set_up_until_a_key_is_in_a_vault(pages, credential):
    assert pages.get("/setup/begin/").url == "/setup/"
    make_pushed(make_vault(credential))
    assert pages.get("/setup/begin/").url == "/"


def test_a_password_changed_from_the_set_up_leads_back_to_it(pages, people):
    assert 'href="/profile/password/?next=%2Fsetup%2F2%2F"' in body(pages.get("/setup/2/"))
