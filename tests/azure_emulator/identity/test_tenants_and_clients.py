"""Tenants by domain, and the refusals whose cure is not another secret."""

from __future__ import annotations

import pytest
from azure.core.exceptions import ClientAuthenticationError

from tests.azure_emulator.harness import CLIENT, TENANT, Emulator

SCOPE = "https://vault.azure.net/.default"


@pytest.mark.parametrize("domain", ["emulator.onmicrosoft.com", "Contoso.Example"])
def test_a_tenant_may_be_named_by_its_domain(emulator: Emulator, domain: str):
    emulator.control("POST", "tenants", {"domains": ["contoso.example"]})
    configuration = emulator.web.get(f"{emulator.url()}/{domain}/v2.0/.well-known/openid-configuration").json()
    assert configuration["token_endpoint"] == f"{emulator.url()}/{TENANT}/oauth2/v2.0/token"
    assert configuration["issuer"] == f"{emulator.url()}/{TENANT}/v2.0"
    assert emulator.ask_token(tenant=domain, scope=SCOPE).status_code == 200
    challenge = emulator.web.get(f"{emulator.url()}/keys").headers["WWW-Authenticate"]
    assert f"/{TENANT}" in challenge


def test_a_domain_of_nobody_is_an_unknown_tenant(emulator: Emulator):
    answer = emulator.ask_token(tenant="fabrikam.example", scope=SCOPE)
    assert answer.json()["error_codes"] == [90002]
    for body in ({"domains": "x"}, {"domains": [1]}, []):
        assert emulator.web.post(f"{emulator.url()}/_emulator/tenants", json=body).status_code == 400


def refused(emulator: Emulator, **form: str) -> int:
    return int(emulator.ask_token(scope=SCOPE, **form).json()["error_codes"][0])


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"disabled": True}, 7000112),
        ({"missing_service_principal": True}, 7000229),
        ({"blocked_by_conditional_access": True}, 53003),
        ({"secret_expired": True}, 7000222),
        ({"secret": "another"}, 7000215),
        ({"tenant_id": "44444444-4444-4444-4444-444444444444"}, 700016),
    ],
)
def test_a_client_can_be_put_into_each_state(emulator: Emulator, change: dict[str, object], number: int):
    emulator.control("POST", "clients", {"client_id": CLIENT, **change})
    assert refused(emulator) == number


@pytest.mark.parametrize(
    ("number", "status"),
    [(50196, 400), (90033, 503), (53003, 400), (500011, 400), (90002, 400), (7000112, 400), (7000229, 401)],
)
def test_each_number_can_be_requested_as_a_fault(emulator: Emulator, number: int, status: int):
    emulator.fault(part="entra", path="*/token", aadsts=number)
    answer = emulator.ask_token(scope=SCOPE)
    assert (answer.status_code, answer.json()["error_codes"]) == (status, [number])
    assert answer.json()["error_description"].startswith(f"AADSTS{number}: ")
    assert emulator.ask_token(scope=SCOPE).status_code == 200


def test_the_sdk_passes_the_text_of_a_disabled_application_on(emulator: Emulator):
    emulator.control("POST", "clients", {"client_id": "off", "secret": "s", "disabled": True})
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000112"):
        emulator.credential("off", "s").get_token(SCOPE)


def test_older_challenges_name_an_older_host(emulator: Emulator):
    emulator.control("POST", "settings", {"challenge_authority": "login.windows.net"})
    mapped = emulator.web.get(f"{emulator.url()}/keys", headers={"Host": "kv-premium.vault.azure.net"})
    assert f'"https://login.windows.net/{TENANT}"' in mapped.headers["WWW-Authenticate"]
    path = f"/{TENANT}/v2.0/.well-known/openid-configuration"
    found = emulator.web.get(emulator.url() + path, headers={"Host": "login.windows.net"}).json()
    assert found["token_endpoint"] == f"https://login.windows.net/{TENANT}/oauth2/v2.0/token"
