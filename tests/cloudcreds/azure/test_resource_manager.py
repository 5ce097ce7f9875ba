"""What Resource Manager tells of a vault beside its keys: access, network, and the policies on new keys."""

from __future__ import annotations

import pytest

from cloudcreds.azure.policy_assignments import on_vault
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.vault_setup import PolicyAssignment, Rule
from kmes.core.secret_types import SecretText

VAULT = "/subscriptions/s-1/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv"
MINIMUM_SIZE = "82067dbb-e53b-4e06-b631-546d197452d9"


def setup_of(azure, name="kv-premium"):
    listed = azure.gateway("").list_vaults()
    return next(vault.setup for vault in listed.vaults if vault.name == name)


def change(azure, **values):
    azure.stand_in.control("POST", "/_emulator/vaults/kv-premium", values)


@pytest.mark.parametrize(("rbac", "model"), [(True, "roles"), (False, "policies")])
def test_the_access_model_is_read(rbac, model, azure):
    change(azure, rbac=rbac)
    assert setup_of(azure).access_model == model


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, (True, False, 0)),
        ({"firewall": True, "ip_rules": ["127.0.0.1"]}, (True, True, 0)),
        ({"public_network": False, "private_endpoints": ["pe-1", "pe-2"]}, (False, False, 2)),
    ],
    ids=["public", "firewall", "private"],
)
def test_the_network_is_read(values, expected, azure):
    change(azure, **values)
    setup = setup_of(azure)
    assert (setup.public_access, setup.firewall, setup.private_endpoints) == expected


@pytest.mark.parametrize(
    ("policy", "value", "rule"),
    [
        ("expiration_required", None, Rule.EXPIRY_NEEDED),
        ("minimum_days_before_expiration", 30, Rule.MINIMUM_DAYS),
        ("maximum_validity", 90, Rule.MAXIMUM_DAYS),
        ("maximum_active_days", 90, Rule.MAXIMUM_AGE),
        ("minimum_rsa_size", 4096, Rule.MINIMUM_RSA_BITS),
        ("allowed_key_types", ["EC-HSM"], Rule.KEY_TYPES),
        ("allowed_curves", ["P-384"], Rule.CURVES),
        ("hsm_backed", None, Rule.HSM_ONLY),
        ("rotation_scheduled", 90, Rule.ROTATION_SCHEDULED),
    ],
)
@pytest.mark.parametrize("effect", ["deny", "audit"])
def test_each_built_in_policy_on_keys_is_read(policy, value, rule, effect, azure):
    entry = {"policy": policy, "effect": effect, **({} if value is None else {"value": value})}
    change(azure, policies=[entry])
    (found,) = setup_of(azure).policies
    assert (found.rule, found.value, found.denies) == (rule, value, effect == "deny")
    assert found.title.startswith("Key")
    assert setup_of(azure, "kv-protected").policies == ()


def test_policies_that_may_not_be_read_are_no_error(azure):
    azure.stand_in.control(
        "POST",
        "/_emulator/clients",
        {
            "client_id": "22222222-2222-2222-2222-222222222222",
            "arm_actions": ["Microsoft.Resources/*", "Microsoft.KeyVault/*"],
        },
    )
    listed = azure.gateway("").list_vaults()
    assert listed.unread == []
    assert [vault.setup.policies for vault in listed.vaults] == [None] * 3


def test_a_reader_of_a_vault_alone_reads_its_policies(azure):
    change(azure, policies=[{"policy": "expiration_required", "effect": "deny"}])
    azure.fault(
        method="GET", path="/subscriptions/*/providers/Microsoft.Authorization/policyAssignments", status=403, count=1
    )
    assert [one.rule for one in setup_of(azure).policies] == [Rule.EXPIRY_NEEDED]
    asked = [entry["path"] for entry in azure.asked("GET", "policyAssignments")]
    assert len(asked) == 4
    assert sum("/vaults/" in path for path in asked) == 3


def test_a_wrong_secret_is_told_as_that_and_not_as_a_refusal_of_resource_manager(azure):
    with pytest.raises(CloudError) as refused:
        azure.gateway("", secret=SecretText("another-secret")).list_vaults()
    assert refused.value.kind == CloudErrorKind.WRONG_SECRET


def test_a_sign_in_refused_between_two_subscriptions_names_no_subscription(azure):
    gateway = azure.gateway("")
    assert gateway.list_vaults().vaults
    azure.fault(
        part="arm", path="*/Microsoft.KeyVault/vaults*", status=401, code="ExpiredAuthenticationToken", count=-1
    )
    with pytest.raises(CloudError) as refused:
        gateway.list_vaults()
    assert (refused.value.kind, refused.value.retryable) == (CloudErrorKind.TOKEN_REFUSED, True)
    assert "Secret" not in refused.value.remedy


def test_no_provider_is_registered_and_nothing_is_changed(azure):
    setup_of(azure)
    entries = azure.stand_in.control("GET", "/_emulator/requests")
    assert {e["method"] for e in entries if e["path"].startswith("/subscriptions")} == {"GET"}


# --- assignments -------------------------------------------------------------------------------
def assigned(*, scope=VAULT, definition=MINIMUM_SIZE, **more):
    described = {
        "displayName": "Minimum",
        "policyDefinitionId": f"/providers/Microsoft.Authorization/policyDefinitions/{definition}",
        "scope": scope,
        "parameters": {"effect": {"value": "Deny"}, "minimumRSAKeySize": {"value": 4096}},
        **more,
    }
    return on_vault([{"properties": described}], VAULT)


@pytest.mark.parametrize(
    "scope",
    [
        VAULT.upper(),
        "/subscriptions/s-1",
        "/subscriptions/S-1/resourcegroups/RG",
        "/providers/Microsoft.Management/managementGroups/top",
    ],
)
def test_an_assignment_above_the_vault_concerns_it(scope):
    assert assigned(scope=scope) == (PolicyAssignment(Rule.MINIMUM_RSA_BITS, "Minimum", denies=True, value=4096),)


@pytest.mark.parametrize("scope", [f"{VAULT}-other", "/subscriptions/s-2", "/subscriptions/s-1/resourceGroups/rg2"])
def test_an_assignment_elsewhere_does_not(scope):
    assert assigned(scope=scope) == ()


@pytest.mark.parametrize(
    ("more", "denies"),
    [
        ({"enforcementMode": "DoNotEnforce"}, False),
        ({"enforcementMode": "Default"}, True),
        ({"parameters": {"minimumRSAKeySize": {"value": 4096}}}, False),
        ({"parameters": {"effect": {"value": "deny"}, "minimumRSAKeySize": {"value": "4096"}}}, True),
    ],
    ids=["not enforced", "enforced", "effect left out", "as text"],
)
def test_only_an_enforced_deny_refuses(more, denies):
    assert assigned(**more) == (PolicyAssignment(Rule.MINIMUM_RSA_BITS, "Minimum", denies=denies, value=4096),)


def test_an_exclusion_takes_the_vault_out():
    assert assigned(scope="/subscriptions/s-1", notScopes=["/subscriptions/s-1/resourceGroups/rg"]) == ()


def test_an_initiative_is_named_and_its_members_are_not_guessed():
    definition = "/providers/Microsoft.Authorization/policySetDefinitions/1f3afdf9-d0c9-4c3d-847f-89da613e70a8"
    (found,) = assigned(policyDefinitionId=definition)
    assert (found.rule, found.denies) == (Rule.INITIATIVE, False)


@pytest.mark.parametrize(
    "row",
    [{}, {"properties": None}, {"properties": {"parameters": []}}, {"properties": {"notScopes": "x", "scope": 5}}],
)
def test_a_row_in_another_form_is_left_out(row):
    assert on_vault([row], VAULT) == ()


@pytest.mark.parametrize("value", [None, "many", [4096], {}])
def test_a_value_that_is_no_number_is_unknown(value):
    (found,) = assigned(parameters={"effect": {"value": "Deny"}, "minimumRSAKeySize": {"value": value}})
    assert found.value is None
