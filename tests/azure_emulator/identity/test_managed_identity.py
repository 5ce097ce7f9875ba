"""Managed identities: the endpoints inside Azure, strict about who may ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from azure.identity import ManagedIdentityCredential

from tests.azure_emulator.harness import CLIENT, Emulator
from tests.services import free_port

VAULT = "https://vault.azure.net"
IMDS = "/metadata/identity/oauth2/token"
USER = "55555555-5555-5555-5555-555555555555"


@pytest.fixture
def assigned(emulator: Emulator) -> Emulator:
    emulator.control("POST", "clients", {"client_id": CLIENT, "managed_identity": "system"})
    user = {"client_id": USER, "managed_identity": "user", "resource_id": "/subscriptions/s/identities/u"}
    emulator.control("POST", "clients", user)
    return emulator


def ask(emulator: Emulator, headers: dict[str, str] | None = None, path: str = IMDS, **query: str) -> requests.Response:
    sent = {"Metadata": "true"} if headers is None else headers
    asked = {"api-version": "2018-02-01", "resource": VAULT, **query}
    return emulator.web.get(emulator.url() + path, params=asked, headers=sent)


def test_the_identity_of_the_machine_gets_a_token_for_the_vault(assigned: Emulator):
    found = ask(assigned).json()
    assert (found["client_id"], found["resource"], found["token_type"]) == (CLIENT, VAULT, "Bearer")
    assert all(isinstance(value, str) for value in found.values())
    headers = {"Authorization": f"Bearer {found['access_token']}"}
    assert assigned.raw("GET", "/keys", headers=headers).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Metadata": "false"}, {"Metadata": "true", "X-Forwarded-For": "1.2.3.4"}])
def test_a_forwarded_request_gets_nothing(assigned: Emulator, headers: dict[str, str]):
    answer = ask(assigned, headers)
    assert (answer.status_code, "Required metadata header" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("query", "status"),
    [({"api-version": "1"}, 400), ({"resource": ""}, 400), ({"resource": "https://elsewhere.example"}, 400),
     ({"client_id": "nobody"}, 400), ({"client_id": USER}, 200), ({"msi_res_id": "/subscriptions/s/identities/U"}, 200)],
)  # fmt: skip
def test_what_is_asked_is_looked_at(assigned: Emulator, query: dict[str, str], status: int):
    assert ask(assigned, **query).status_code == status


def test_without_an_identity_nobody_is_found(emulator: Emulator):
    answer = ask(emulator)
    assert (answer.status_code, answer.json()["error_description"]) == (400, "Identity not found")
    assert emulator.web.post(emulator.url() + IMDS).status_code == 405
    assert emulator.web.get(f"{emulator.url()}/metadata/identity/other").status_code == 404


def test_app_service_demands_its_header(assigned: Emulator):
    version = {"api-version": "2019-08-01"}
    assert ask(assigned, {}, "/msi/token", **version).status_code == 401
    assert ask(assigned, {"X-IDENTITY-HEADER": "wrong"}, "/msi/token", **version).status_code == 401
    right = {"X-IDENTITY-HEADER": assigned.control("GET", "settings")["identity_header"]}
    found = ask(assigned, right, "/msi/token", **version).json()
    assert set(found) == {"access_token", "client_id", "expires_on", "resource", "token_type"}
    assert ask(assigned, right, "/msi/token").status_code == 400


def test_the_sdk_signs_in_as_in_app_service(assigned: Emulator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{assigned.url()}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", assigned.control("GET", "settings")["identity_header"])
    options: dict[str, Any] = {"connection_verify": assigned.ca}
    with ManagedIdentityCredential(**options) as credential:
        assert list(assigned.keys(credential=credential).list_properties_of_keys()) == []


def test_the_sdk_signs_in_as_on_a_machine_over_plain_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    port = free_port(1)
    started = Emulator(
        tmp_path / "state", "--metadata-address", f"127.0.0.1:{port}",
        "--client", f"id={CLIENT},managed_identity=system", "--key-pool", "0",
    )  # fmt: skip
    try:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"http://127.0.0.1:{port}")
        with ManagedIdentityCredential() as credential:
            assert list(started.keys(credential=credential).list_properties_of_keys()) == []
        plain = f"http://127.0.0.1:{port}"
        for path, headers in (("/_emulator/requests", {}), ("/keys", {"Host": "kv-premium.vault.azure.net"})):
            assert requests.get(plain + path, headers=headers, timeout=5).status_code == 404
    finally:
        assert started.stop() == 0
