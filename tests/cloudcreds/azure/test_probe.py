"""The connection test: each permission tried, each failure with its remedy, nothing left behind."""

from __future__ import annotations

import pytest

from kmes.core.secret_types import SecretText
from tests.cloudcreds.azure.conftest import ALL


def outcome(azure, **changes):
    return {result.name: result for result in azure.gateway(**changes).probe_permissions("kmes-probe")}


def test_a_good_credential_passes_every_check_and_leaves_nothing(azure):
    results = outcome(azure)
    assert [result.ok for result in results.values()] == [True] * len(results)
    assert list(results) == [
        "Token",
        "Resource Manager",
        "Network",
        *("List", "Get", "Create", "Import", "Update", "Delete", "Recover", "Purge", "Sign"),
        *("Tier", "Soft-delete", "Purge protection"),
    ]
    assert all(result.at for result in results.values())
    assert azure.gateway().list_key_names("kmes-probe") == []
    assert all(result.duration_ms >= 0 for result in results.values())


@pytest.mark.parametrize("rbac", [False, True], ids=["access policy", "RBAC"])
@pytest.mark.parametrize("missing", ["get", "list", "create", "import", "update", "delete", "purge"])
def test_each_missing_permission_fails_its_own_check_and_no_other(missing, rbac, azure):
    azure.permit(*[word for word in ALL if word != missing])
    azure.stand_in.control("POST", "/_emulator/vaults/kv-premium", {"rbac": rbac})
    results = outcome(azure)
    failed = [name for name, result in results.items() if result.ok is False]
    assert failed == [missing.capitalize()]
    assert missing.capitalize() in results[missing.capitalize()].remedy or "get/list" in results["List"].remedy.lower()
    assert results[missing.capitalize()].kind == "permission"


@pytest.mark.parametrize("missing", ["recover", "sign"])
def test_what_only_some_actions_need_is_said_but_fails_nothing(missing, azure):
    azure.permit(*[word for word in ALL if word != missing])
    results = outcome(azure)
    assert (results[missing.capitalize()].ok, results[missing.capitalize()].kind) == (None, "permission")
    assert not [name for name, result in results.items() if result.ok is False]


def test_without_any_permission_each_check_names_its_own(azure):
    azure.permit()
    results = outcome(azure)
    failed = {name for name, result in results.items() if result.ok is False}
    assert failed == {"List", "Get", "Create", "Import", "Update", "Delete", "Purge"}
    assert results["Network"].ok is True
    assert results["Tier"].ok is None


def test_a_firewall_is_found_once_and_nothing_else_is_blamed(azure):
    azure.stand_in.control("POST", "/_emulator/vaults/kv-premium", {"firewall": True})
    results = outcome(azure)
    assert [name for name, result in results.items() if result.ok is False] == ["Network"]
    assert results["Network"].kind == "firewall"
    assert "Networking" in results["Network"].remedy


def test_refusals_that_prove_a_permission_are_no_errors_in_the_log(azure):
    outcome(azure)
    assert [call.event for call in azure.notes.calls if call.event == "azure.call_failed"] == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"client_id": "99999999-9999-9999-9999-999999999999"}, "wrong_client"),
        ({"tenant_id": "99999999-9999-9999-9999-999999999999"}, "wrong_tenant"),
        ({"secret": SecretText("wrong")}, "wrong_secret"),
    ],
)
def test_each_slip_in_the_credential_is_told_from_the_others(changes, kind, azure):
    (token,) = outcome(azure, **changes).values()
    assert (token.ok, token.kind) == (False, kind)


def test_a_wrong_secret_stops_at_the_token(azure):
    (token,) = outcome(azure, secret=SecretText("wrong")).values()
    assert (token.name, token.ok) == ("Token", False)
    assert "secret" in token.remedy


def test_a_standard_vault_says_so(azure):
    create = outcome(azure, vault="kv-standard")["Create"]
    assert create.ok is False
    assert "Standard" in create.text
    tier = outcome(azure, vault="kv-standard")["Tier"]
    assert (tier.ok, tier.facts) == (False, {"tier": "standard"})


def test_a_protected_vault_needs_no_purge(azure):
    results = outcome(azure, vault="kv-protected")
    assert results["Purge"].ok is None
    assert results["Purge protection"].text.startswith("on")
    assert results["Soft-delete"].facts["recovery_level"] == "Recoverable"


def test_without_a_vault_only_the_sign_in_and_the_listing_are_tried(azure):
    assert list(outcome(azure, vault="")) == ["Token", "Resource Manager"]
