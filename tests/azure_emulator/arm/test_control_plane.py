"""The control plane through the management SDK."""

from __future__ import annotations

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.mgmt.keyvault import KeyVaultManagementClient

from tests.azure_emulator.harness import SUBSCRIPTION, TENANT, Emulator


def test_vaults_are_listed_with_the_address_the_client_can_use(emulator: Emulator):
    found = {vault.name: vault for vault in emulator.arm().vaults.list_by_subscription()}
    assert list(found) == ["kv-premium", "kv-protected", "kv-standard", "kv-hard", "kv-week"]
    assert [vault.properties.vault_uri.rstrip("/") for vault in found.values()] == [
        emulator.url(name) for name in found
    ]
    assert found["kv-standard"].properties.sku.name == "standard"
    assert found["kv-protected"].properties.enable_purge_protection is True
    assert found["kv-premium"].properties.enable_purge_protection is None
    assert found["kv-premium"].properties.soft_delete_retention_in_days == 90
    assert found["kv-week"].properties.soft_delete_retention_in_days == 7
    assert found["kv-hard"].properties.enable_soft_delete is False


def test_a_vault_is_found_by_group_and_name(emulator: Emulator):
    arm = emulator.arm()
    assert len(list(arm.vaults.list_by_resource_group("kmes"))) == 5
    assert arm.vaults.get("KMES", "KV-premium").name == "kv-premium"
    with pytest.raises(ResourceNotFoundError) as caught:
        arm.vaults.get("kmes", "kv-none")
    assert caught.value.error.code == "ResourceNotFound"
    with pytest.raises(ResourceNotFoundError) as caught:
        arm.vaults.get("other", "kv-premium")
    assert caught.value.error.code == "ResourceGroupNotFound"


def test_name_check_and_deleted_vaults_answer(emulator: Emulator):
    arm = emulator.arm()
    body = {"name": "kv-premium", "type": "Microsoft.KeyVault/vaults"}
    assert arm.vaults.check_name_availability(body).name_available is False
    assert arm.vaults.check_name_availability({**body, "name": "kv-new"}).name_available is True
    assert list(arm.vaults.list_deleted()) == []
    with pytest.raises(ResourceNotFoundError) as caught:
        arm.vaults.get_deleted("kv-gone", "westeurope")
    assert (caught.value.error.code, "'kv-gone' does not exist" in caught.value.error.message) == (
        "DeletedVaultNotFound",
        True,
    )


def test_another_subscription_is_unknown(emulator: Emulator):
    other = KeyVaultManagementClient(
        emulator.credential(), TENANT, base_url=emulator.url(), connection_verify=emulator.ca, retry_total=0
    )
    with other, pytest.raises(HttpResponseError) as caught:
        list(other.vaults.list_by_subscription())
    assert caught.value.error.code == "SubscriptionNotFound"


def test_a_client_without_a_role_is_refused(emulator: Emulator):
    emulator.control("POST", "clients", {"client_id": "plain", "secret": "s", "arm": False})
    with pytest.raises(HttpResponseError) as caught:
        list(emulator.arm(emulator.credential("plain", "s")).vaults.list_by_subscription())
    assert (caught.value.status_code, caught.value.error.code) == (403, "AuthorizationFailed")
    with pytest.raises(HttpResponseError, match="KeyVault/locations/deletedVaults/read'"):
        emulator.arm(emulator.credential("plain", "s")).vaults.get_deleted("kv-gone", "westeurope")


def test_raw_calls_need_a_token_of_the_right_audience_and_a_version(emulator: Emulator):
    path = f"{emulator.url()}/subscriptions"
    assert emulator.web.get(path).json()["error"]["code"] == "AuthenticationFailed"
    vault_token = {"Authorization": f"Bearer {emulator.token()}"}
    assert emulator.web.get(path, headers=vault_token).json()["error"]["code"] == "InvalidAuthenticationTokenAudience"
    arm_token = {"Authorization": f"Bearer {emulator.token('https://management.azure.com/.default')}"}
    assert emulator.web.get(path, headers=arm_token).json()["error"]["code"] == "MissingApiVersionParameter"
    found = emulator.web.get(f"{path}?api-version=2022-12-01", headers=arm_token).json()["value"]
    assert [entry["subscriptionId"] for entry in found] == [SUBSCRIPTION]
    listing = (
        f"{path}/{SUBSCRIPTION}/resources?$filter=resourceType eq 'Microsoft.KeyVault/vaults'&api-version=2015-11-01"
    )
    assert len(emulator.web.get(listing, headers=arm_token).json()["value"]) == 5


def test_a_forged_token_is_refused(emulator: Emulator):
    class Forged:
        def get_token(self, *scopes: str, **options: object) -> object:
            return AccessToken("a.b.c", 9_999_999_999)

    with pytest.raises(ClientAuthenticationError):
        list(emulator.arm(Forged()).vaults.list_by_subscription())


def test_cloud_metadata_needs_no_token(emulator: Emulator):
    found = emulator.web.get(f"{emulator.url()}/metadata/endpoints?api-version=2022-09-01").json()
    assert found["authentication"]["loginEndpoint"] == emulator.url()
    assert found["authentication"]["tenant"] == TENANT
    assert found["suffixes"]["keyVaultDns"]


def test_vault_addresses_follow_the_host_the_client_used(emulator: Emulator):
    token = {"Authorization": f"Bearer {emulator.token('https://management.azure.com/.default')}"}
    path = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.KeyVault/vaults?api-version=2024-11-01"
    by_name = emulator.web.get(f"https://localhost:{emulator.port}{path}", headers=token).json()["value"]
    assert by_name[1]["properties"]["vaultUri"] == f"https://localhost:{emulator.port + 1}/"
    mapped = emulator.web.get(emulator.url() + path, headers={**token, "Host": "management.azure.com"}).json()["value"]
    assert mapped[0]["properties"]["vaultUri"] == "https://kv-premium.vault.azure.net/"
