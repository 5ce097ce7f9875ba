"""Azure Policy: what each assigned definition denies, and in which words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import JsonWebKey, KeyClient, KeyVaultKey

from tests.azure_emulator.blobs import blob_for, ec_key, rsa_key
from tests.azure_emulator.harness import Emulator

NEVER_NAMED = re.compile(r"permission|action|firewall|client address|purge protection|disabled key", re.IGNORECASE)


def assign(emulator: Emulator, policy: str, value: Any = None, effect: str = "deny") -> None:
    entry = {"policy": policy, "effect": effect, **({} if value is None else {"value": value})}
    emulator.control("POST", "vaults/kv-premium", {"policies": [entry]})


def days(count: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=count)


def denied(make: Any, *arguments: Any, **options: Any) -> bool:
    refused: HttpResponseError | None = None
    try:
        make(*arguments, **options)
    except HttpResponseError as error:
        refused = error
    if refused is None:
        return False
    assert (refused.status_code, refused.error.code) == (403, "Forbidden")
    assert not NEVER_NAMED.search(str(refused.error.message)), refused.error.message
    return True


RSA, EC = "create_rsa_key", "create_ec_key"


@pytest.mark.parametrize(
    ("policy", "value", "maker", "options", "expected"),
    [
        ("expiration_required", None, EC, {}, True),
        ("expiration_required", None, EC, {"expires_on": days(30)}, False),
        ("minimum_days_before_expiration", 1, RSA, {"expires_on": days(1 / 12), "size": 2048}, True),
        ("minimum_days_before_expiration", 1, RSA, {"expires_on": days(2), "size": 2048}, False),
        ("minimum_days_before_expiration", 1, EC, {}, False),
        ("maximum_validity", 90, EC, {"expires_on": days(91)}, True),
        ("maximum_validity", 90, EC, {"expires_on": days(89)}, False),
        ("maximum_active_days", 30, EC, {"not_before": days(-31)}, True),
        ("maximum_active_days", 30, EC, {"not_before": days(-29)}, False),
        ("maximum_active_days", 30, EC, {}, False),
        ("minimum_rsa_size", 4096, RSA, {"size": 3072}, True),
        ("minimum_rsa_size", 3072, RSA, {"size": 3072}, False),
        ("minimum_rsa_size", 4096, EC, {}, False),
        ("allowed_key_types", ["EC", "EC-HSM"], RSA, {"size": 2048}, True),
        ("allowed_key_types", ["EC", "EC-HSM"], EC, {"hardware_protected": True}, False),
        ("allowed_curves", ["P-384"], EC, {"curve": "P-256"}, True),
        ("allowed_curves", ["P-384"], EC, {"curve": "P-384"}, False),
        ("allowed_curves", ["P-384"], RSA, {"size": 2048}, False),
        ("hsm_backed", None, EC, {}, True),
        ("hsm_backed", None, EC, {"hardware_protected": True}, False),
        ("rotation_scheduled", 90, EC, {}, False),
    ],
)
def test_each_definition_denies_what_it_names(
    emulator: Emulator, keys: KeyClient, policy: str, value: Any, maker: str, options: dict[str, Any], expected: bool
):
    assign(emulator, policy, value)
    assert denied(getattr(keys, maker), "k", **options) is expected


@pytest.mark.parametrize("effect", ["audit", "disabled"])
def test_only_the_effect_deny_denies(emulator: Emulator, keys: KeyClient, effect: str):
    assign(emulator, "hsm_backed", effect=effect)
    assert not denied(keys.create_ec_key, "k")


def test_imports_and_rotations_are_denied_and_existing_versions_stay(
    emulator: Emulator, keys: KeyClient, kek: KeyVaultKey
):
    keys.create_ec_key("old", curve="P-256")
    assign(emulator, "allowed_curves", ["P-384"])
    blob = JsonWebKey(kty="EC-HSM", crv="P-256", t=blob_for(kek, ec_key("P-256")).encoded())
    assert denied(keys.import_key, "new", blob)
    assert denied(keys.rotate_key, "old")
    assert keys.update_key_properties("old", enabled=False).properties.enabled is False
    assert not denied(keys.import_key, "rsa", JsonWebKey(kty="RSA-HSM", t=blob_for(kek, rsa_key()).encoded()))
    assert [key.name for key in keys.list_properties_of_keys()] == ["kek", "old", "rsa"]


def test_the_words_of_the_refusal_can_be_others(emulator: Emulator, keys: KeyClient):
    assign(emulator, "hsm_backed")
    emulator.control("POST", "settings", {"policy_refusal_text": "No."})
    with pytest.raises(HttpResponseError) as caught:
        keys.create_ec_key("k")
    assert caught.value.error.message == "No."


@pytest.mark.parametrize(
    "policies",
    [[{"policy": "none"}], [{"policy": "minimum_rsa_size"}], [{"policy": "minimum_rsa_size", "value": "4096"}],
     [{"policy": "allowed_curves", "value": 1}], [{"policy": "hsm_backed", "effect": "modify"}], [{}], ["x"], "x"],
)  # fmt: skip
def test_a_senseless_assignment_is_refused(emulator: Emulator, policies: object):
    address = f"{emulator.url()}/_emulator/vaults/kv-premium"
    assert emulator.web.post(address, json={"policies": policies}).status_code == 400
    assert len(emulator.control("GET", "policies")) == 9
