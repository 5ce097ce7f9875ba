"""Pages that start jobs: what they say beforehand, who may, one job per form, refusals."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hsm.models import HsmDevice
from jobs.kinds.apply_change.spec import CHANGE_KINDS
from jobs.kinds.registry import KINDS
from jobs.models import Job, JobTarget
from jobs.spec import registry
from keygroups.models import KeyGroup
from kmes.accounts.rights import ROLE_RIGHTS
from kmes.core.clock import now
from tests.jobs.pages.browsing import FRAGMENT, ROLES, body, group, make_job, make_key, pages, people, push, static_root

__all__ = ["group", "pages", "people", "static_root"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def device(db):
    """A designated device's row; no page asks the device."""
    return HsmDevice.objects.create(
        serial="S1", label="KMES", mfk_public_spki=b"x", pmk_kcv="AAAAAA", mfk_kcv="BBBBBB", is_designated=True
    )


def form_key(response) -> str:
    return re.search(r'name="idempotency_key" value="([^"]+)"', body(response))[1]


def addresses(group, key, version):
    """Each kind's page, about rows that exist."""
    on_group = f"group={group.pk}"
    return {
        "create": on_group,
        "synchronize": f"key={key.pk}",
        "rotate": on_group,
        "set_enabled": f"version={version.pk if version else ''}&enabled=0",
        "cloud_delete": on_group,
        "cloud_recover": on_group,
        "cloud_purge": on_group,
        "destroy": f"key={key.pk}",
        "check_drift": on_group,
        "repair": on_group,
        "set_tags": on_group,
        "test_connection": f"credential={group.credential_id}&vault={group.vault_id}",
        "list_vaults": f"credential={group.credential_id}",
        "self_test": "",
        "prove": f"version={version.pk if version else ''}",
    }


# --- Every kind ------------------------------------------------------------------------------
def test_every_kind_can_be_started_from_a_page_but_those_that_other_pages_start():
    kinds = {spec.kind for spec in KINDS}
    assert {spec.kind for spec in KINDS if spec.confirmation is not None} == kinds - {
        "sign_report",
        "set_approval_policy",
        "many_groups",
        *CHANGE_KINDS,
    }


def test_a_kind_that_people_do_not_start_has_no_page(pages):
    assert pages.get("/jobs/start/sign_report/").status_code == 404
    job = make_job(kind="sign_report", state="failed")
    assert pages.get(f"/jobs/{job.code}/retry/").status_code == 404
    assert "Retry" not in body(pages.get(f"/jobs/{job.code}/actions/", **FRAGMENT))


def test_a_connection_test_offers_the_vaults_of_its_credential(pages, group, device):
    text = body(pages.get(f"/jobs/start/test_connection/?credential={group.credential_id}"))
    assert f'<option value="{group.vault_id}" selected>' in text
    address = f"/jobs/start/test_connection/?credential={group.credential_id}"
    pages.post(address, {"vault": str(group.vault_id)})
    pages.post(address, {"vault": ""})
    params = [job.params["vault_id"] for job in Job.objects.order_by("created_at")]
    assert params == [str(group.vault_id), ""]


@pytest.mark.parametrize("kind", ["rotate", "synchronize"])
def test_a_push_that_arrives_disabled_does_not_promise_an_active_version(pages, group, device, kind):
    address = f"/jobs/start/{kind}/?{addresses(group, make_key(group), None)[kind]}"
    assert "newest version becomes active" in body(pages.get(address))
    KeyGroup.objects.update(enabled_on_push=False)
    text = body(pages.get(address))
    assert "newest version becomes active" not in text
    assert "arrives disabled" in text


def test_disabling_the_current_version_says_that_no_older_one_takes_over(pages, group, device):
    older = push(make_key(group, "older"), state="superseded", version="v0")
    current = push(make_key(group, "current"))
    said = {
        version: "does not fall back" in body(pages.get(f"/jobs/start/set_enabled/?version={version.pk}&enabled=0"))
        for version in (older, current)
    }
    assert said == {older: False, current: True}


@pytest.mark.parametrize("role", ROLES)
def test_each_kind_asks_for_its_own_right(client, people, group, device, role):
    version = push(make_key(group))
    client.force_login(people[role])
    for kind, query in addresses(group, version.key, version).items():
        wanted = 200 if registry[kind].right in ROLE_RIGHTS[role] else 403
        assert client.get(f"/jobs/start/{kind}/?{query}").status_code == wanted, kind
        if wanted == 403:
            assert client.post(f"/jobs/start/{kind}/?{query}").status_code == 403
    assert not Job.objects.exists()


def test_each_page_is_a_dialog_for_htmx_and_stays_cheap(pages, group, device):
    version = push(make_key(group))
    for kind, query in addresses(group, version.key, version).items():
        with CaptureQueriesContext(connection) as queries:
            piece = body(pages.get(f"/jobs/start/{kind}/?{query}", **FRAGMENT))
        assert "<html" not in piece
        assert 'id="dialog-title"' in piece
        assert len(queries) <= 12, kind


@pytest.mark.parametrize(
    "path",
    [
        "nonsense/",
        "create/",
        "create/?group=not-a-uuid",
        "rotate/?group=00000000-0000-4000-8000-000000000001",
        "synchronize/?key=00000000-0000-4000-8000-000000000001",
        "synchronize/",
        "set_enabled/?enabled=0",
        "test_connection/",
    ],
)
def test_what_does_not_exist_is_not_found(pages, path):
    assert pages.get(f"/jobs/start/{path}").status_code == 404


def test_a_vault_of_another_credential_is_not_found(pages, group):
    other = group.credential
    other.pk, other.name = uuid.uuid4(), "Other"
    other.save(force_insert=True)
    assert pages.get(f"/jobs/start/test_connection/?credential={other.pk}&vault={group.vault_id}").status_code == 404


def test_starting_without_the_form_s_token_is_refused(client, people, group):
    strict = client.__class__(enforce_csrf_checks=True)
    strict.force_login(people["admin"])
    assert strict.post(f"/jobs/start/check_drift/?group={group.pk}").status_code == 403
    assert not Job.objects.exists()


# --- Create ----------------------------------------------------------------------------------
def test_a_name_makes_a_job_and_leads_to_it(pages, group, device):
    page = pages.get(f"/jobs/start/create/?group={group.pk}")
    sent = {"name": " pay-2 ", "idempotency_key": form_key(page)}
    answer = pages.post(f"/jobs/start/create/?group={group.pk}", sent)
    job = Job.objects.get()
    assert answer["Location"] == f"/jobs/{job.code}/"
    assert (job.kind, job.params) == ("create", {"names": ["pay-2"]})


def test_several_names_make_one_job(pages, group, device):
    page = body(pages.get(f"/jobs/start/create/?group={group.pk}&several=1"))
    assert "<textarea" in page
    pages.post(f"/jobs/start/create/?group={group.pk}&several=1", {"name": "a\r\n\r\nb\r\n"})
    assert Job.objects.get().params == {"names": ["a", "b"]}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "needs a name"),
        ("   ", "needs a name"),
        ("PAY-1", "already"),
        ("x" * 161, "at most 160"),
        ("a\x07b", "printable"),
    ],
)
def test_a_bad_name_is_refused_at_its_field(pages, group, device, name, words):
    make_key(group, "pay-1")
    answer = pages.post(f"/jobs/start/create/?group={group.pk}", {"name": name}, **FRAGMENT)
    assert answer.status_code == 422
    assert words in body(answer)
    assert "is-invalid" in body(answer)
    assert not Job.objects.exists()


def test_without_a_designated_device_nothing_is_begun(pages, group):
    answer = pages.post(f"/jobs/start/create/?group={group.pk}", {"name": "pay-2"}, **FRAGMENT)
    assert answer.status_code == 422
    assert "No device is designated" in body(answer)
    assert "HSM Protected Key Options" in body(answer)
    assert "Nothing was done." in body(answer)
    assert not Job.objects.exists()


# --- Synchronize, rotate ---------------------------------------------------------------------
def test_a_push_says_what_will_happen(pages, group, device):
    make_key(group, "pay-1"), make_key(group, "pay-2")
    group.vault.recovery_level, group.vault.recoverable_days = "Recoverable+Purgeable", 90
    group.vault.save()
    page = body(pages.get(f"/jobs/start/synchronize/?group={group.pk}"))
    for words in (
        "Contoso",
        "kv (Premium)",
        "RSA 3072",
        "pay-1, pay-2",
        "90 days",
        "can be purged",
        "Synchronize 2 keys",
    ):
        assert words in page


def test_a_standard_vault_is_refused_before_the_push(pages, group, device):
    group.vault.tier = "standard"
    group.vault.save()
    key = make_key(group)
    page = body(pages.get(f"/jobs/start/synchronize/?key={key.pk}"))
    assert "Standard tier" in page
    assert 'type="submit" class="btn btn-primary"' not in page


def test_the_same_form_sent_twice_starts_one_job(pages, group, device):
    key = make_key(group)
    url = f"/jobs/start/synchronize/?key={key.pk}"
    sent = {"idempotency_key": form_key(pages.get(url))}
    first, second = pages.post(url, sent), pages.post(url, sent, **FRAGMENT)
    job = Job.objects.get()
    assert first["Location"] == second["HX-Redirect"] == f"/jobs/{job.code}/"
    assert [target.key for target in job.targets.all()] == [key]


def test_two_forms_for_one_key_start_one_job_and_say_why(pages, group, device):
    key = make_key(group)
    url = f"/jobs/start/synchronize/?key={key.pk}"
    forms = [form_key(pages.get(url)), form_key(pages.get(url))]
    assert forms[0] != forms[1]
    pages.post(url, {"idempotency_key": forms[0]})
    answer = pages.post(url, {"idempotency_key": forms[1]}, **FRAGMENT)
    assert answer.status_code == 422
    assert Job.objects.count() == 1


def test_a_form_s_key_names_only_its_own_users_job(client, people, group, device):
    key = make_key(group)
    url, sent = f"/jobs/start/synchronize/?key={key.pk}", {"idempotency_key": str(uuid.uuid4())}
    client.force_login(people["admin"])
    client.post(url, sent)
    client.force_login(people["operator"])
    assert client.post(url, sent).status_code == 422
    assert Job.objects.count() == 1


def test_keys_of_two_groups_are_pushed_by_one_job(pages, group, device):
    other = KeyGroup.objects.create(
        name="other", key_spec="P-256", credential=group.credential, vault=group.vault, azure_name="other"
    )
    query = f"key={make_key(group).pk}&key={make_key(other).pk}"
    assert pages.post(f"/jobs/start/synchronize/?{query}").status_code == 302
    job = Job.objects.get()
    assert (job.group, job.subject) == (None, "2 keys in 2 key groups")
    assert "2 keys in 2 key groups" in body(pages.get(job.get_absolute_url()))
    assert str(job) in body(pages.get(f"/jobs/?group={other.pk}"))


def test_a_group_whose_keys_are_all_pushed_offers_no_button(pages, group, device):
    push(make_key(group))
    page = body(pages.get(f"/jobs/start/synchronize/?group={group.pk}"))
    assert "All keys are synchronized already" in page
    assert 'type="submit" class="btn btn-primary" data-busy' not in page


def test_a_forced_rotation_starts_one_job(pages, group, device):
    url = f"/jobs/start/rotate/?group={group.pk}"
    assert "named after the group" in body(pages.get(url))
    assert pages.post(url).status_code == 302
    assert pages.post(url).status_code == 422
    assert Job.objects.get().kind == "rotate"


# --- Enable, delete, purge, destroy ----------------------------------------------------------
def test_a_version_is_disabled_by_its_page(pages, group):
    version = push(make_key(group))
    url = f"/jobs/start/set_enabled/?version={version.pk}&enabled=0"
    assert "refuses every use" in body(pages.get(url))
    pages.post(url)
    assert Job.objects.get().params == {"version_id": str(version.pk), "enabled": False}
    assert pages.get(f"/jobs/start/set_enabled/?version={version.pk}&enabled=2").status_code == 404


def test_a_cloud_delete_shows_what_survives_and_until_when(pages, group):
    push(make_key(group))
    group.vault.recovery_level, group.vault.recoverable_days = "Recoverable+Purgeable", 30
    group.vault.save()
    page = body(pages.get(f"/jobs/start/cloud_delete/?group={group.pk}"))
    assert f"recoverable until {now() + timedelta(days=30):%Y-%m-%d}" in page
    assert "1 version in the vault" in page
    assert "can be synchronized again" in page
    assert pages.post(f"/jobs/start/cloud_delete/?group={group.pk}").status_code == 302
    assert Job.objects.get().params == {"versions": ["v1"]}


def test_a_delete_that_can_not_be_says_so_and_does_nothing(pages, group):
    page = body(pages.get(f"/jobs/start/cloud_delete/?group={group.pk}"))
    assert "The vault holds no key of this group" in page
    assert pages.post(f"/jobs/start/cloud_delete/?group={group.pk}").status_code == 422
    assert not Job.objects.exists()


@pytest.mark.parametrize("typed", ["", "Payments", "payments ", "x"])
def test_a_purge_wants_the_name_typed(pages, group, typed):
    push(make_key(group), state="soft_deleted")
    url = f"/jobs/start/cloud_purge/?group={group.pk}"
    answer = pages.post(url, {"typed": typed})
    assert (answer.status_code == 302) == (typed.strip() == "payments")
    if answer.status_code != 302:
        assert answer.status_code == 422
        assert "exactly as it is shown" in body(answer)
        assert not Job.objects.exists()


def test_destroying_wants_the_name_and_says_that_the_vault_keeps_its_version(pages, group):
    key = make_key(group)
    push(key)
    url = f"/jobs/start/destroy/?key={key.pk}"
    page = body(pages.get(url))
    assert "the vault is not touched" in page
    assert "1 version in the vault" in page
    assert pages.post(url, {"typed": "wrong"}).status_code == 422
    assert not Job.objects.exists()
    assert pages.post(url, {"typed": "pay-1"}).status_code == 302
    assert Job.objects.get().kind == "destroy"


def test_several_keys_are_destroyed_by_typing_the_groups_name(pages, group):
    query = "&".join(f"key={make_key(group, name).pk}" for name in ("a", "b"))
    assert "Type “payments” to confirm" in body(pages.get(f"/jobs/start/destroy/?{query}"))
    pages.post(f"/jobs/start/destroy/?{query}", {"typed": "payments"})
    assert JobTarget.objects.count() == 2


def test_the_device_and_credentials_are_tried_by_jobs(pages, group, device):
    pages.post(f"/jobs/start/test_connection/?credential={group.credential_id}&vault={group.vault_id}")
    pages.post(f"/jobs/start/list_vaults/?credential={group.credential_id}")
    pages.post("/jobs/start/self_test/")
    assert set(Job.objects.values_list("kind", flat=True)) == {"test_connection", "list_vaults", "self_test"}
