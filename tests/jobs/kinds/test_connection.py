"""The connection test and the vault listing as jobs: what they leave on the rows of credential and vault."""

from __future__ import annotations

import pytest

from cloudcreds.models import KeyVault
from jobs.kinds.list_vaults.spec import request_vault_list
from jobs.kinds.test_connection.spec import request_connection_test
from tests.jobs.builders import work

pytestmark = pytest.mark.django_db(transaction=True)


def run_test(credential, vault, actor):
    job = work(request_connection_test(credential=credential, vault=vault, actor=actor))
    credential.refresh_from_db()
    if vault is not None:
        vault.refresh_from_db()
    return job


def vault_named(credential, stand_in, name):
    return KeyVault.objects.create(credential=credential, name=name, url=stand_in.vault_url(name).rstrip("/"))


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
