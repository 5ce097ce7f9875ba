"""Faults as the real SDK sees them, and what they do to the vault."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.keyvault.keys import KeyClient

from tests.azure_emulator.harness import Emulator

BROKEN = (ServiceRequestError, ServiceResponseError)


def versions(keys: KeyClient, name: str) -> int:
    return len(list(keys.list_properties_of_key_versions(name)))


def test_a_429_without_retry_after_fails_a_create_at_once(emulator: Emulator):
    emulator.fault(method="POST", path="/keys/*/create", status=429)
    with pytest.raises(HttpResponseError) as caught:
        emulator.patient_keys().create_ec_key("k")
    assert caught.value.status_code == 429
    assert caught.value.error.code == "Throttled"
    assert "retry-after" not in caught.value.response.headers
    assert len(emulator.requests("POST")) == 1


def test_a_429_with_retry_after_is_waited_out(emulator: Emulator):
    emulator.fault(method="POST", path="/keys/*/create", status=429, retry_after=0.1)
    assert emulator.patient_keys().create_ec_key("k").name == "k"
    assert [entry["status"] for entry in emulator.requests("POST")] == [429, 200]


def test_a_reset_before_the_effect_leaves_nothing(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    emulator.fault(method="POST", path="/keys/k/create", reset="before")
    with pytest.raises(BROKEN):
        keys.create_ec_key("k")
    assert versions(keys, "k") == 1


def test_a_reset_after_the_effect_leaves_the_effect(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    emulator.fault(method="POST", path="^/keys/k/create$", reset="after")
    with pytest.raises(BROKEN):
        keys.create_ec_key("k")
    assert versions(keys, "k") == 2
    assert [entry["reset"] for entry in emulator.requests("POST")][-1] == "connection reset"


def test_an_error_status_can_come_after_the_effect(emulator: Emulator, keys: KeyClient):
    emulator.fault(method="POST", path="/keys/k/create", status=503, when="after")
    with pytest.raises(HttpResponseError):
        keys.create_ec_key("k")
    assert versions(keys, "k") == 1


def test_an_empty_page_in_the_middle_is_followed_on(emulator: Emulator, keys: KeyClient):
    for number in range(4):
        keys.create_ec_key(f"k{number}")
    emulator.control("POST", "settings", {"page_size": 2})
    emulator.fault(method="GET", path="/keys", empty_page=True, skip=1)
    assert [key.name for key in keys.list_properties_of_keys()] == ["k0", "k1", "k2", "k3"]
    assert len(emulator.requests("GET", "/keys")) == 3


def test_count_skip_and_vault_narrow_a_fault_down(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    emulator.fault(method="GET", path="/keys/k", status=500, skip=1, count=1, vault="kv-premium")
    emulator.fault(method="GET", path="/keys/*", status=500, count=-1, vault="kv-standard")
    keys.get_key("k")
    with pytest.raises(HttpResponseError):
        keys.get_key("k")
    keys.get_key("k")
    assert [fault["hits"] for fault in emulator.control("GET", "faults")] == [1, 0]


def test_delay_is_waited_and_clearing_ends_an_endless_fault(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    emulator.fault(method="GET", path="/keys/k", delay_ms=150, count=-1)
    started = time.monotonic()
    keys.get_key("k")
    assert time.monotonic() - started >= 0.15
    assert emulator.control("DELETE", "faults") == {"removed": 1}
    assert emulator.control("GET", "faults") == []


def test_a_request_that_was_on_its_way_is_not_in_a_list_that_was_cleared(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    emulator.fault(method="GET", path="/keys/k", delay_ms=300)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(keys.get_key, "k")
        while not emulator.control("GET", "faults")[0]["hits"]:
            time.sleep(0.01)
        emulator.control("DELETE", "requests")
        assert answer.result().name == "k"
    assert emulator.control("GET", "requests") == []


def test_latency_delays_each_answer(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    emulator.control("POST", "settings", {"latency_ms": 120})
    started = time.monotonic()
    keys.get_key("k")
    assert time.monotonic() - started >= 0.12


def test_a_401_with_claims_makes_the_sdk_fetch_a_fresh_token(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    claims = "eyJhY2Nlc3NfdG9rZW4iOnt9fQ"
    emulator.fault(method="GET", path="/keys/k", status=401, claims=claims)
    assert keys.get_key("k").name == "k"


def test_a_fault_can_hit_the_token_endpoint(emulator: Emulator):
    emulator.fault(part="entra", path="*/token", status=503)
    assert emulator.ask_token(scope="https://vault.azure.net/.default").status_code == 503
    assert emulator.ask_token(scope="https://vault.azure.net/.default").status_code == 200


@pytest.mark.parametrize(
    "fault",
    [{}, {"status": 500, "colour": 1}, {"reset": "now"}, {"status": "x"}, {"status": 500, "path": "(("}, []],
)
def test_a_senseless_fault_is_refused(emulator: Emulator, fault: object):
    answer = emulator.web.post(f"{emulator.url()}/_emulator/faults", json=fault)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_the_journal_holds_no_secret(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    text = str(emulator.control("GET", "requests"))
    assert "/keys/k/create" in text
    assert "emulator-secret" not in text
    assert "eyJ" not in text
    emulator.control("DELETE", "requests")
    assert emulator.control("GET", "requests") == []


def test_control_is_not_there_under_azure_names_or_other_ports(emulator: Emulator):
    mapped = {"Host": "kv-premium.vault.azure.net"}
    assert emulator.web.get(f"{emulator.url()}/_emulator/requests", headers=mapped).status_code == 401
    assert emulator.web.get(f"{emulator.url('kv-standard')}/_emulator/requests").status_code == 401
    assert emulator.web.get(f"{emulator.url()}/_emulator/nothing").status_code == 404


def test_unknown_changes_are_refused(emulator: Emulator):
    for path, body in (("settings", {"x": 1}), ("settings", {"page_size": 0}), ("vaults/kv-premium", {"name": "y"}),
                       ("vaults/kv-none", {}), ("vaults/kv-premium", {"sku": "gold"}), ("clients", {"permissions": []}),
                       ("clients", {"client_id": "c", "permissions": ["fly"]}), ("settings", {"throttle": 1})):  # fmt: skip
        assert emulator.web.post(f"{emulator.url()}/_emulator/{path}", json=body).status_code == 400, (path, body)
    assert emulator.control("GET", "health")["status"] == "ok"
