"""Several subscriptions, of which some refuse, and which api-versions are served."""

from __future__ import annotations

import datetime as dt

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.keyvault import KeyVaultManagementClient

from tests.azure_emulator.arm.conftest import NEWEST, ArmCall
from tests.azure_emulator.harness import CLIENT, SUBSCRIPTION, Emulator

SECOND = "44444444-4444-4444-4444-444444444444"
VAULTS = "/providers/Microsoft.KeyVault/vaults"


@pytest.fixture
def second(emulator: Emulator) -> str:
    emulator.control("POST", "subscriptions", {"subscription_id": SECOND, "name": "Second"})
    emulator.control("POST", "vaults/kv-standard", {"subscription": SECOND})
    return SECOND


def refuse(emulator: Emulator, code: str) -> None:
    emulator.control("POST", "subscriptions", {"subscription_id": SECOND, "refuses": code})


def names(answer: dict[str, list[dict[str, str]]]) -> set[str]:
    return {entry["name"] for entry in answer["value"]}


def test_each_subscription_has_its_own_vaults(arm: ArmCall, second: str):
    found = arm("/subscriptions", "2022-12-01").json()["value"]
    assert [(each["subscriptionId"], each["displayName"]) for each in found] == [
        (SUBSCRIPTION, "Emulator subscription"), (second, "Second")
    ]  # fmt: skip
    assert "kv-standard" not in names(arm(f"/subscriptions/{SUBSCRIPTION}{VAULTS}").json())
    assert names(arm(f"/subscriptions/{second}{VAULTS}").json()) == {"kv-standard"}
    groups = arm(f"/subscriptions/{second}/resourceGroups", "2021-04-01").json()["value"]
    assert [group["id"] for group in groups] == [f"/subscriptions/{second}/resourceGroups/kmes"]


@pytest.mark.parametrize(
    ("code", "status"), [("AuthorizationFailed", 403), ("SubscriptionNotFound", 404), ("MissingSubscriptionRegistration", 409)]
)  # fmt: skip
def test_a_subscription_refuses_in_each_way(emulator: Emulator, arm: ArmCall, second: str, code: str, status: int):
    refuse(emulator, code)
    answer = arm(f"/subscriptions/{second}{VAULTS}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert arm(f"/subscriptions/{SUBSCRIPTION}{VAULTS}").status_code == 200
    assert len(arm("/subscriptions", "2022-12-01").json()["value"]) == 2


def test_only_a_client_with_the_right_registers_a_subscription(emulator: Emulator, arm: ArmCall, second: str):
    refuse(emulator, "MissingSubscriptionRegistration")
    provider = f"/subscriptions/{second}/providers/Microsoft.KeyVault"
    assert arm(provider, "2021-04-01").json()["registrationState"] == "NotRegistered"
    refused = arm(f"{provider}/register", "2021-04-01", "POST")
    assert (refused.status_code, "Microsoft.KeyVault/register/action" in refused.text) == (403, True)
    rights = ["*/read", "Microsoft.KeyVault/register/action"]
    emulator.control("POST", "clients", {"client_id": CLIENT, "arm_actions": rights})
    assert arm(f"{provider}/register", "2021-04-01", "POST").json()["registrationState"] == "Registered"
    assert arm(f"/subscriptions/{second}{VAULTS}").status_code == 200


def test_the_sdk_registers_by_itself_and_that_shows(emulator: Emulator, second: str):
    refuse(emulator, "MissingSubscriptionRegistration")
    client = KeyVaultManagementClient(
        emulator.credential(), second, base_url=emulator.url(), connection_verify=emulator.ca, retry_total=0
    )
    with client, pytest.raises(HttpResponseError):
        list(client.vaults.list_by_subscription())
    asked = [entry["path"] for entry in emulator.control("GET", "requests") if entry["part"] == "arm"]
    assert any(path.endswith("/register") for path in asked)


@pytest.mark.parametrize("body", [{"subscription_id": "x"}, {"subscription_id": SECOND, "refuses": "Never"}, {}])
def test_a_senseless_subscription_is_refused(emulator: Emulator, body: dict[str, str]):
    assert emulator.web.post(f"{emulator.url()}/_emulator/subscriptions", json=body).status_code == 400


@pytest.mark.parametrize(
    ("version", "code"),
    [("2019-09-01", None), ("2026-02-01", None), (NEWEST, None), ("2024-11-02", "NoRegisteredProviderFound"),
     ("2025-13-01", "InvalidApiVersionParameter"), ("7.4", "InvalidApiVersionParameter")],
)  # fmt: skip
def test_a_version_must_have_existed(arm: ArmCall, version: str, code: str | None):
    answer = arm(f"/subscriptions/{SUBSCRIPTION}{VAULTS}", version)
    assert answer.json().get("error", {}).get("code") == code


def test_older_versions_end_on_a_day_of_2027(emulator: Emulator, arm: ArmCall):
    ahead = (dt.datetime(2027, 2, 28, tzinfo=dt.UTC) - dt.datetime.now(dt.UTC)).total_seconds()
    emulator.control("POST", "settings", {"clock_skew_seconds": ahead})
    path = f"/subscriptions/{SUBSCRIPTION}{VAULTS}"
    assert arm(path, "2025-05-01").json()["error"]["code"] == "NoRegisteredProviderFound"
    assert arm(path, "2026-02-01").status_code == 200
    assert arm("/subscriptions", "2022-12-01").status_code == 200
