"""Sign-in at Resource Manager: which token is taken, and what the 401 says and leads to."""

from __future__ import annotations

import re

import pytest
import requests

from azure_emulator.arm.sign_in import written
from tests.azure_emulator.harness import SUBSCRIPTION, TENANT, Emulator

ARM = "https://management.azure.com/.default"
OTHER_TENANT = "44444444-4444-4444-4444-444444444444"
UNKNOWN = "99999999-9999-9999-9999-999999999999"


def ask(emulator: Emulator, path: str, token: str = "", **headers: str) -> requests.Response:
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return emulator.web.get(f"{emulator.url()}{path}?api-version=2022-12-01", headers=headers)


def refused(answer: requests.Response) -> tuple[str, str]:
    """Code and text of a 401."""
    assert answer.status_code == 401
    error = answer.json()["error"]
    return error["code"], error["message"]


@pytest.mark.parametrize(
    ("path", "tenant"), [("", ""), (f"/{SUBSCRIPTION}", TENANT), (f"/{SUBSCRIPTION}/resourceGroups", TENANT), (f"/{UNKNOWN}", "")]
)  # fmt: skip
def test_the_challenge_names_the_tenant_of_a_subscription(emulator: Emulator, path: str, tenant: str):
    by_address = ask(emulator, f"/subscriptions{path}")
    by_name = ask(emulator, f"/subscriptions{path}", Host="management.azure.com")
    for answer, authority in ((by_address, emulator.url()), (by_name, "https://login.windows.net")):
        assert refused(answer) == (
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        )
        assert answer.headers["WWW-Authenticate"] == (
            f'Bearer authorization_uri="{authority}/{tenant}", error="invalid_token", '
            "error_description=\"The authentication failed because of missing 'Authorization' header.\""
        )


def test_a_token_for_vaults_is_refused_with_the_audiences(emulator: Emulator):
    assert refused(ask(emulator, "/subscriptions", emulator.token())) == (
        "InvalidAuthenticationTokenAudience",
        (
            "The access token has been obtained for wrong audience or resource 'https://vault.azure.net'. It should exactly match "
            "with one of the allowed audiences 'https://management.core.windows.net/','https://management.core.windows.net',"
            "'https://management.azure.com/','https://management.azure.com'."
        ),
    )


def test_a_client_of_another_tenant_is_told_the_right_one(emulator: Emulator):
    emulator.control("POST", "clients", {"client_id": "foreign", "secret": "s", "tenant_id": OTHER_TENANT})
    token = emulator.token(ARM, tenant=OTHER_TENANT, client_id="foreign", client_secret="s")
    assert ask(emulator, "/subscriptions", token).json() == {"value": []}
    answer = ask(emulator, f"/subscriptions/{SUBSCRIPTION}", token)
    code, text = refused(answer)
    assert code == "InvalidAuthenticationTokenTenant"
    assert f"wrong issuer 'https://sts.windows.net/{OTHER_TENANT}/'. It must match the tenant" in text
    assert f"Please use the authority (URL) '{emulator.url()}/{TENANT}' to get the token." in text
    assert f'authorization_uri="{emulator.url()}/{TENANT}"' in answer.headers["WWW-Authenticate"]


def test_an_expired_token_is_told_both_times(emulator: Emulator):
    emulator.control("POST", "settings", {"token_lifetime": 0})
    code, text = refused(ask(emulator, "/subscriptions", emulator.token(ARM)))
    time = r"'\d{1,2}/\d{1,2}/\d{4} (1[0-2]|[1-9]):\d\d:\d\d [AP]M'"
    assert code == "ExpiredAuthenticationToken"
    assert re.fullmatch(rf"The access token expiry UTC time {time} is earlier than current UTC time {time}\.", text)


def test_times_have_twelve_hours():
    told = [written(1_534_809_600 + hour * 3600 + 59) for hour in (0, 11, 12, 15)]
    assert told == ["8/21/2018 12:00:59 AM", "8/21/2018 11:00:59 AM", "8/21/2018 12:00:59 PM", "8/21/2018 3:00:59 PM"]


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.AA", "W10.W10.W10"])
def test_an_invalid_token_is_invalid(emulator: Emulator, token: str):
    assert refused(ask(emulator, "/subscriptions", token)) == (
        "InvalidAuthenticationToken",
        "The access token is invalid.",
    )


@pytest.mark.parametrize("identifier", ["0" * 8, "resourceGroups", UNKNOWN + "0", UNKNOWN.replace("-", "")])
def test_a_malformed_subscription_id_is_no_unknown_one(emulator: Emulator, identifier: str):
    answer = ask(emulator, f"/subscriptions/{identifier}", emulator.token(ARM))
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        {
            "code": "InvalidSubscriptionId",
            "message": f"The provided subscription identifier '{identifier}' is malformed or invalid.",
        },
    )


def test_providers_are_listed(emulator: Emulator):
    found = ask(emulator, f"/subscriptions/{SUBSCRIPTION}/providers", emulator.token(ARM)).json()["value"]
    assert [(each["namespace"], each["registrationState"]) for each in found] == [("Microsoft.KeyVault", "Registered")]
