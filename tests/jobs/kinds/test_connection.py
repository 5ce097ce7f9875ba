"""The connection test and the vault listing as jobs: what they leave on the rows of credential and vault."""

from __future__ import annotations

import pytest
from django.db import transaction

from cloudcreds import tenants
from cloudcreds.models import CloudCredential
from jobs.kinds.list_vaults.spec import request_vault_list
from jobs.kinds.test_connection.spec import request_connection_test
from jobs.pages.failure_help import explain_failure
from jobs.pages.selectors import view_job
from logging_reports.models import LogEntry
from tests.jobs.builders import CLIENT, TENANT, make_vault, messages, save_credential, work

pytestmark = pytest.mark.django_db(transaction=True)


def run_test(credential, vault, actor):
    job = work(request_connection_test(credential=credential, vault=vault, actor=actor))
    credential.refresh_from_db()
    if vault is not None:
        vault.refresh_from_db()
    return job


def vault_named(credential, stand_in, name):
    return make_vault(credential, stand_in.vault_url(name), name=name)


@pytest.mark.parametrize(
    ("name", "level", "soft_delete", "protected"),
    [("kv-premium", "Recoverable+Purgeable", True, False), ("kv-protected", "Recoverable", True, True)],
)
def test_a_test_leaves_its_results_and_the_vaults_facts(
    name, level, soft_delete, protected, credential, admin, azure_stand_in
):
    vault = vault_named(credential, azure_stand_in, name)
    job = run_test(credential, vault, admin)
    assert (job.state, job.error_what) == ("succeeded", "")
    assert (vault.last_test_ok, credential.last_test_ok) == (True, True)
    assert vault.last_test == credential.last_test
    assert vault.last_tested_at == credential.last_tested_at
    assert (vault.tier, vault.recovery_level) == ("premium", level)
    assert (vault.has_soft_delete, vault.is_purge_protected) == (soft_delete, protected)
    assert vault.seen_at is not None


def test_a_standard_vault_is_known_as_one_afterwards(credential, admin, azure_stand_in):
    vault = vault_named(credential, azure_stand_in, "kv-standard")
    job = run_test(credential, vault, admin)
    assert job.state == "failed"
    assert (vault.tier, vault.last_test_ok) == ("standard", False)


def test_without_a_vault_no_vaults_result_is_touched(credential, admin, azure_stand_in):
    vault = vault_named(credential, azure_stand_in, "kv-premium")
    job = run_test(credential, None, admin)
    vault.refresh_from_db()
    assert job.state == "succeeded"
    assert [one["name"] for one in credential.last_test] == ["Token", "Resource Manager"]
    assert vault.last_tested_at is None


@pytest.fixture
def permit(azure_stand_in):
    """Grant the client these permissions, and no others."""

    def grant(*permissions):
        azure_stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "permissions": list(permissions)})

    return grant


def why_of(job):
    return " ".join(explain_failure(view_job(job)).why)


def test_the_reason_shown_is_that_of_the_first_check_that_counts(credential, admin, azure_stand_in, permit):
    permit("get", "list", "create", "import", "update")
    vault = vault_named(credential, azure_stand_in, "kv-premium")
    job = run_test(credential, vault, admin)
    assert job.error_what.endswith("checks failed: Delete.")
    assert "lacks the key permission Delete" in why_of(job)
    permit("get", "list", "update")
    job = run_test(credential, vault, admin)
    assert "lacks the key permission Create" in why_of(job)


def test_without_the_optional_rights_a_test_succeeds(credential, admin, azure_stand_in, permit):
    permit("get", "list", "create", "import", "update", "delete")
    job = run_test(credential, vault_named(credential, azure_stand_in, "kv-premium"), admin)
    assert (job.state, job.error_what) == ("succeeded", "")


DOMAIN = "emulator.onmicrosoft.com"


def test_a_tenant_typed_as_a_domain_is_recorded_by_its_id(credential, admin, azure_stand_in):
    save_credential(credential, tenant_id=DOMAIN)
    job = run_test(credential, vault_named(credential, azure_stand_in, "kv-premium"), admin)
    assert (job.state, credential.tenant_id) == ("succeeded", TENANT)
    assert f"The tenant {DOMAIN} has the ID {TENANT}" in " ".join(messages(job))
    assert DOMAIN in credential.last_test[0]["text"]
    (row,) = LogEntry.objects.filter(event="credential.updated")
    assert row.data["changed"] == {"tenant_id": [DOMAIN, TENANT]}


def test_a_tenant_that_was_changed_meanwhile_is_left_as_it_is(credential, admin):
    CloudCredential.objects.update(tenant_id=DOMAIN)
    stale = CloudCredential.objects.get()
    CloudCredential.objects.update(tenant_id="other.example.com")
    with transaction.atomic():
        assert not tenants.record_id(stale, TENANT, actor=admin)
    assert CloudCredential.objects.get().tenant_id == "other.example.com"


def test_an_unknown_domain_stays_as_it_was_typed(credential, admin):
    save_credential(credential, tenant_id="nobody.example.com")
    job = run_test(credential, None, admin)
    assert (job.state, credential.tenant_id) == ("failed", "nobody.example.com")
    assert "tenant" in why_of(job)


def test_a_login_host_that_is_down_is_named_where_the_tenant_is_a_domain(credential, admin):
    save_credential(credential, tenant_id=DOMAIN, authority_url="https://127.0.0.1:9")
    job = run_test(credential, None, admin)
    assert (job.state, job.error_code) == ("failed", "probe_failed")
    assert "127.0.0.1:9 can't be reached" in " ".join(messages(job))


def test_a_listing_tells_tier_and_recovery_of_each_vault(credential, admin):
    job = work(request_vault_list(credential=credential, actor=admin))
    assert job.state == "succeeded"
    found = {
        vault.name: (vault.tier, vault.has_soft_delete, vault.is_purge_protected) for vault in credential.vaults.all()
    }
    assert found == {
        "kv-premium": ("premium", True, False),
        "kv-protected": ("premium", True, True),
        "kv-standard": ("standard", True, False),
    }
