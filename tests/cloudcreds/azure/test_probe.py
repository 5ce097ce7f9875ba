"""The connection test: each permission tried, each failure with its remedy, nothing left behind."""

from __future__ import annotations

import pytest

from kmes.core.secret_types import SecretText
from tests.cloudcreds.azure.conftest import ALL, wait_for_next_second


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
        *("Clock", "Tier", "Soft-delete", "Purge protection"),
    ]
    assert all(result.at for result in results.values())
    assert azure.gateway().list_key_names("kmes-probe") == []
    assert all(result.duration_ms >= 0 for result in results.values())


@pytest.mark.parametrize(
    "policies",
    [
        [("minimum_rsa_size", 4096)],
        [("minimum_days_before_expiration", 30)],
        [("maximum_validity", 60), ("minimum_days_before_expiration", 30)],
    ],
    ids=["size", "life", "both ends of the life"],
)
def test_a_policy_on_keys_is_no_missing_permission(policies, azure):
    entries = [{"policy": name, "effect": "deny", "value": value} for name, value in policies]
    azure.stand_in.control("POST", "/_emulator/vaults/kv-premium", {"policies": entries})
    results = outcome(azure)
    assert [name for name, result in results.items() if result.ok is False] == []
    assert azure.gateway().list_key_names("kmes-probe") == []


@pytest.mark.parametrize("rbac", [False, True], ids=["access policy", "RBAC"])
@pytest.mark.parametrize("missing", ["get", "list", "create", "import", "update", "delete"])
def test_each_missing_permission_fails_its_own_check_and_no_other(missing, rbac, azure):
    azure.permit(*[word for word in ALL if word != missing])
    azure.stand_in.control("POST", "/_emulator/vaults/kv-premium", {"rbac": rbac})
    results = outcome(azure)
    failed = [name for name, result in results.items() if result.ok is False]
    assert failed == [missing.capitalize()]
    assert missing.capitalize() in results[missing.capitalize()].remedy or "get/list" in results["List"].remedy.lower()
    assert results[missing.capitalize()].kind == "permission"


@pytest.mark.parametrize("missing", ["recover", "purge", "sign"])
def test_what_only_some_actions_need_is_said_but_fails_nothing(missing, azure):
    azure.permit(*[word for word in ALL if word != missing])
    results = outcome(azure)
    assert (results[missing.capitalize()].ok, results[missing.capitalize()].kind) == (None, "permission")
    assert not [name for name, result in results.items() if result.ok is False]
    assert [call.event for call in azure.notes.calls if call.event == "azure.permission_missing"] == []


def test_without_purge_it_says_what_becomes_of_the_ephemeral_keys(azure):
    azure.permit(*[word for word in ALL if word != "purge"])
    assert "left to its expiry" in outcome(azure)["Purge"].text


def test_a_right_granted_since_the_last_sign_in_counts(azure):
    azure.stand_in.control("POST", "/_emulator/settings", {"grants_need_new_token": True})
    azure.permit(*[word for word in ALL if word != "import"])
    assert outcome(azure)["Import"].ok is False
    wait_for_next_second()
    azure.permit(*ALL)
    assert outcome(azure)["Import"].ok is True


def test_without_any_permission_each_check_names_its_own(azure):
    azure.permit()
    results = outcome(azure)
    failed = {name for name, result in results.items() if result.ok is False}
    assert failed == {"List", "Get", "Create", "Import", "Update", "Delete"}
    assert results["Network"].ok is True
    assert results["Tier"].ok is None


def test_a_firewall_is_found_once_and_nothing_else_is_blamed(azure):
    azure.stand_in.control("POST", "/_emulator/vaults/kv-premium", {"firewall": True})
    results = outcome(azure)
    assert [name for name, result in results.items() if result.ok is False] == ["Network"]
    assert results["Network"].kind == "firewall"
    assert "Networking" in results["Network"].remedy


PAGE = {"body": "<html>Gateway</html>", "content_type": "text/html"}


@pytest.mark.parametrize(
    ("fault", "network", "kind"),
    [
        ({"part": "vault", "status": 200, **PAGE}, False, "unreachable"),
        ({"part": "vault", "status": 403, **PAGE}, False, "unreachable"),
        ({"part": "vault", "reset": "before"}, False, "unreachable"),
        ({"part": "vault", "status": 429}, True, ""),
        ({"part": "vault", "status": 403, "message": "The vault is under legal hold."}, True, ""),
    ],
    ids=["page", "403 page", "reset", "429", "403"],
)
def test_network_passes_on_an_answer_of_the_vault_only(fault, network, kind, azure):
    azure.fault(path="/keys", count=-1, **fault)
    result = outcome(azure)["Network"]
    assert (result.ok, result.kind) == (network, kind)


def test_network_says_nothing_where_the_vault_asks_for_another_tenant(azure):
    tenant = "https://login.microsoftonline.com/99999999-9999-9999-9999-999999999999"
    other = f'Bearer authorization="{tenant}", resource="https://vault.azure.net"'
    azure.fault(part="vault", before_sign_in=True, status=401, headers={"WWW-Authenticate": other}, count=-1)
    results = outcome(azure)
    assert (results["Network"].ok, results["List"].ok, results["Get"].ok) == (None, False, None)
    assert results["List"].kind == "wrong_tenant"


def test_a_refusal_for_another_reason_is_told_in_azures_words_without_advice_to_grant(azure):
    text = "Key creation was disallowed by policy."
    azure.fault(method="POST", path="/keys/*/create", status=403, message=text, count=-1)
    result = outcome(azure)["Create"]
    assert (result.ok, result.kind) == (False, "refused_otherwise")
    assert text in result.text
    assert "Request id: " in result.remedy
    assert "grant" not in f"{result.text}{result.remedy}".lower()


# --- clocks ------------------------------------------------------------------------------------
HOUR = 3600


@pytest.mark.parametrize(
    ("ahead", "words"), [(3 * HOUR, "3 h behind"), (-600, "10 min ahead of"), (4 * 86400, "4 days behind")]
)
def test_a_clock_that_differs_fails_its_own_check(ahead, words, azure):
    azure.stand_in.control("POST", "/_emulator/settings", {"clock_skew_seconds": ahead})
    results = outcome(azure)
    assert [name for name, result in results.items() if result.ok is False] == ["Clock"]
    assert words in results["Clock"].text
    assert "NTP" in results["Clock"].remedy


STRAY = "Thu, 26 Nov 2026 08:00:00 GMT"


@pytest.mark.parametrize("date", [STRAY, "Wed, 99 Xyz 2015", "", "Thu, 01 Jan 1970 00:00:00 GMT", "soon"])
@pytest.mark.parametrize("count", [1, -1], ids=["once", "always"])
def test_a_stray_date_header_does_not_lead_astray(date, count, azure):
    azure.fault(part="vault", headers={"Date": date}, count=count)
    assert outcome(azure)["Clock"].ok is True


def test_headers_alone_are_not_believed_where_another_service_contradicts_them(azure):
    azure.permit(*[word for word in ALL if word != "create"])
    azure.stand_in.control("POST", "/_emulator/settings", {"clock_skew_seconds": 3 * HOUR})
    assert outcome(azure)["Clock"].ok is None


def test_headers_of_all_services_together_are_believed(azure):
    azure.permit(*[word for word in ALL if word != "create"])
    azure.stand_in.control("POST", "/_emulator/settings", {"date_skew_seconds": -3 * HOUR})
    assert "3 h ahead of" in outcome(azure)["Clock"].text


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
