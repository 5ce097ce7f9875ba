"""The connection test: each permission tried, what fails said with its cure, nothing left behind."""

from __future__ import annotations

import pytest

from kmes.core.secret_types import SecretText
from tests.cloudcreds.azure.conftest import ALL


def outcome(azure, **changes):
    return {result.name: result for result in azure.gateway(**changes).probe_permissions("kmes-probe")}


def test_a_good_credential_passes_every_check_and_leaves_nothing(azure):
    results = outcome(azure)
    assert [result.ok for result in results.values()] == [True] * len(results)
    assert {"Token", "Resource Manager", "List", "Get", "Create", "Import", "Delete", "Purge"} <= set(results)
    assert azure.gateway().list_key_names("kmes-probe") == []
    assert all(result.duration_ms >= 0 for result in results.values())


@pytest.mark.parametrize("missing", ["get", "list", "create", "import", "delete", "purge"])
def test_each_missing_permission_fails_its_own_check(missing, azure):
    azure.permit(*[word for word in ALL if word != missing])
    failed = outcome(azure)[missing.capitalize()]
    assert failed.ok is False
    assert missing.capitalize() in failed.text
    assert failed.remedy


def test_a_wrong_secret_stops_at_the_token(azure):
    (token,) = outcome(azure, secret=SecretText("wrong")).values()
    assert (token.name, token.ok) == ("Token", False)
    assert "secret" in token.remedy


def test_a_standard_vault_says_so(azure):
    create = outcome(azure, vault="kv-standard")["Create"]
    assert create.ok is False
    assert "Standard" in create.text


def test_a_protected_vault_needs_no_purge(azure):
    results = outcome(azure, vault="kv-protected")
    assert results["Purge"].ok is None
    assert "purge protection is on" in results["Recovery"].text


def test_without_a_vault_only_the_sign_in_and_the_listing_are_tried(azure):
    assert list(outcome(azure, vault="")) == ["Token", "Resource Manager"]
