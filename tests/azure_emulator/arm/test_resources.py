"""What the control plane tells of vaults, their keys, managed HSMs and assignments."""

from __future__ import annotations

from typing import Any

import pytest

from tests.azure_emulator.arm.conftest import ArmCall
from tests.azure_emulator.harness import CLIENT, SUBSCRIPTION, Emulator

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/kmes"
PROVIDER = "/providers/Microsoft.KeyVault"
VAULT = f"{GROUP}{PROVIDER}/vaults/kv-premium"
POLICIES = "/providers/Microsoft.Authorization/policyAssignments"
ROLES = "/providers/Microsoft.Authorization/roleAssignments"


def test_a_vault_tells_what_a_review_of_its_settings_needs(emulator: Emulator, arm: ArmCall):
    plain = arm(VAULT).json()["properties"]
    assert plain["enableSoftDelete"] is True
    assert plain["softDeleteRetentionInDays"] == 90
    assert (plain["enableRbacAuthorization"], len(plain["accessPolicies"])) == (False, 1)
    assert plain["publicNetworkAccess"] == "Enabled"
    assert not {"enablePurgeProtection", "networkAcls", "privateEndpointConnections"} & set(plain)
    assert None not in plain.values()
    change = {
        "rbac": True, "firewall": True, "ip_rules": ["203.0.113.0/24", "192.0.2.1"], "purge_protection": True,
        "private_endpoints": ["pe-1"], "public_network": False,
    }  # fmt: skip
    emulator.control("POST", "vaults/kv-premium", change)
    strict = arm(VAULT).json()["properties"]
    assert (strict["enableRbacAuthorization"], strict["accessPolicies"]) == (True, [])
    assert strict["enablePurgeProtection"] is True
    assert strict["publicNetworkAccess"] == "Disabled"
    assert strict["networkAcls"]["defaultAction"] == "Deny"
    assert strict["networkAcls"]["ipRules"] == [{"value": "203.0.113.0/24"}, {"value": "192.0.2.1/32"}]
    assert [each["name"] for each in strict["privateEndpointConnections"]] == ["pe-1"]
    found = arm(f"{VAULT}/privateEndpointConnections/PE-1").json()
    assert found["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"
    assert arm(f"{VAULT}/privateEndpointConnections").json()["value"] == [found]
    assert arm(f"{VAULT}/privateEndpointConnections/none").status_code == 404


def test_keys_and_their_versions_are_described(emulator: Emulator, arm: ArmCall):
    keys = emulator.keys()
    old = keys.create_rsa_key("k", size=3072, hardware_protected=True, tags={"a": "b"})
    new = keys.create_ec_key("k", curve="P-384")
    (short,) = arm(f"{VAULT}/keys").json()["value"]
    assert short["id"] == f"{VAULT}/keys/k"
    assert set(short["properties"]) == {"attributes", "keyUri"}
    current = arm(f"{VAULT}/keys/K").json()["properties"]
    assert (current["kty"], current["curveName"], current["keyUriWithVersion"]) == ("EC", "P-384", new.id)
    assert len(arm(f"{VAULT}/keys/k/versions").json()["value"]) == 2
    version = arm(f"{VAULT}/keys/k/versions/{old.properties.version}").json()
    assert (version["properties"]["keySize"], version["tags"]) == (3072, {"a": "b"})
    assert version["name"] == old.properties.version
    for missing in ("keys/none", "keys/k/versions/none", "keys/k/other"):
        assert arm(f"{VAULT}/{missing}").status_code == 404
    mapped = emulator.web.get(
        f"{emulator.url()}{VAULT}/keys?api-version=2026-05-15",
        headers={
            "Host": "management.azure.com",
            "Authorization": f"Bearer {emulator.token('https://management.azure.com/.default')}",
        },
    ).json()["value"][0]
    assert mapped["properties"]["keyUri"] == "https://kv-premium.vault.azure.net:443/keys/k"


def test_managed_hsms_are_listed_where_there_are_some(emulator: Emulator, arm: ArmCall):
    sdk = emulator.arm()
    assert list(sdk.managed_hsms.list_by_subscription()) == []
    emulator.control("POST", "managed-hsms", {"name": "hsm-one", "purge_protection": True})
    (found,) = sdk.managed_hsms.list_by_subscription()
    assert (found.name, found.properties.hsm_uri) == ("hsm-one", "https://hsm-one.managedhsm.azure.net/")
    assert sdk.managed_hsms.get("kmes", "HSM-one").properties.enable_purge_protection is True
    assert [each.name for each in sdk.managed_hsms.list_by_resource_group("kmes")] == ["hsm-one"]
    assert list(sdk.managed_hsms.list_deleted()) == []
    taken = sdk.managed_hsms.check_mhsm_name_availability({"name": "hsm-one"})
    assert (taken.name_available, taken.reason) == (False, "AlreadyExists")
    assert sdk.managed_hsms.check_mhsm_name_availability({"name": "hsm-two"}).name_available is True
    assert arm(f"{GROUP}{PROVIDER}/managedHSMs/hsm-none").status_code == 404
    listed = arm(f"/subscriptions/{SUBSCRIPTION}/resources?$filter=resourceType eq 'Microsoft.KeyVault/managedHSMs'")
    assert [each["name"] for each in listed.json()["value"]] == ["hsm-one"]
    bad = emulator.web.post(f"{emulator.url()}/_emulator/managed-hsms", json={"name": "x"})
    assert bad.status_code == 400


def test_operations_are_listed(emulator: Emulator):
    assert "Microsoft.KeyVault/vaults/read" in [operation.name for operation in emulator.arm().operations.list()]


@pytest.mark.parametrize("scope", [f"/subscriptions/{SUBSCRIPTION}", GROUP, VAULT])
def test_policy_assignments_show_at_each_scope(emulator: Emulator, arm: ArmCall, scope: str):
    policies = [{"policy": "minimum_rsa_size", "value": 4096}, {"policy": "hsm_backed", "effect": "audit"}]
    emulator.control("POST", "vaults/kv-premium", {"policies": policies})
    first, second = arm(f"{scope}{POLICIES}", "2024-05-01").json()["value"]
    assert first["properties"]["policyDefinitionId"].endswith("/82067dbb-e53b-4e06-b631-546d197452d9")
    assert first["properties"]["parameters"] == {"effect": {"value": "Deny"}, "minimumRSAKeySize": {"value": 4096}}
    assert second["properties"]["parameters"] == {"effect": {"value": "Audit"}}
    assert first["properties"]["scope"] == VAULT
    definition = arm(first["properties"]["policyDefinitionId"], "2024-05-01").json()
    assert definition["properties"]["displayName"] == first["properties"]["displayName"]


def test_policies_of_another_vault_do_not_show(emulator: Emulator, arm: ArmCall):
    emulator.control("POST", "vaults/kv-standard", {"policies": [{"policy": "expiration_required"}]})
    assert arm(f"{VAULT}{POLICIES}", "2024-05-01").json() == {"value": []}


def definitions(arm: ArmCall) -> list[dict[str, Any]]:
    path = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"
    return list(arm(path, "2022-04-01").json()["value"])


def test_role_assignments_follow_the_rights_of_clients(emulator: Emulator, arm: ArmCall):
    emulator.control("POST", "vaults/kv-premium", {"rbac": True})
    emulator.control("POST", "clients", {"client_id": "reader", "permissions": [], "arm": True})
    found = arm(f"{VAULT}{ROLES}", "2022-04-01").json()["value"]
    roles = [each["properties"]["roleDefinitionId"].rsplit("/", 1)[1] for each in found]
    officer, reader = "14b46e9e-c2b7-41b4-b07b-48a6ebf60603", "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    assert sorted(roles) == sorted([officer, reader, reader])
    named = {each["name"]: each["properties"]["roleName"] for each in definitions(arm)}
    assert (named[officer], named[reader]) == ("Key Vault Crypto Officer", "Reader")
    own = found[0]["properties"]["principalId"]
    mine = arm(f"{VAULT}{ROLES}?$filter=principalId eq '{own}'", "2022-04-01").json()["value"]
    assert {each["properties"]["principalId"] for each in mine} == {own}
    assert len(mine) == 2


@pytest.mark.parametrize(("path", "action"), [(POLICIES, "policyAssignments"), (ROLES, "roleAssignments")])
def test_assignments_need_a_right_of_their_own(emulator: Emulator, arm: ArmCall, path: str, action: str):
    emulator.control("POST", "clients", {"client_id": CLIENT, "arm_actions": ["Microsoft.KeyVault/*/read"]})
    answer = arm(f"{VAULT}{path}", "2022-04-01")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AuthorizationFailed")
    assert f"'Microsoft.Authorization/{action}/read'" in answer.text
    assert arm(VAULT).status_code == 200
    assert arm(f"{VAULT}/keys").status_code == 200


@pytest.mark.parametrize(("method", "verb"), [("PUT", "write"), ("DELETE", "delete"), ("PATCH", "write")])
def test_a_reader_changes_nothing(arm: ArmCall, method: str, verb: str):
    answer = arm(VAULT, method=method, json={})
    assert (answer.status_code, f"'Microsoft.KeyVault/vaults/{verb}'" in answer.text) == (403, True)
