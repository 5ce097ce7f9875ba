"""Sign-in: discovery, tokens, and the errors an administrator gets to see."""

from __future__ import annotations

import base64
import json

import pytest
from azure.core.exceptions import ClientAuthenticationError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.azure_emulator.harness import CLIENT, SECRET, TENANT, Emulator

VAULT_SCOPE = "https://vault.azure.net/.default"


def unpad(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_discovery_names_everything_a_client_needs(emulator: Emulator):
    base = emulator.url()
    found = emulator.web.get(f"{base}/{TENANT}/v2.0/.well-known/openid-configuration").json()
    assert found["token_endpoint"] == f"{base}/{TENANT}/oauth2/v2.0/token"
    assert found["issuer"] == f"{base}/{TENANT}/v2.0"
    assert found["authorization_endpoint"].startswith(base)
    instance = emulator.web.get(f"{base}/common/discovery/instance?authorization_endpoint={base}/{TENANT}/x").json()
    assert instance["tenant_discovery_endpoint"] == f"{base}/{TENANT}/v2.0/.well-known/openid-configuration"
    assert {"code id_token", "id_token token"} <= set(found["response_types_supported"])
    assert emulator.web.get(found["jwks_uri"]).json()["keys"][0]["kty"] == "RSA"


@pytest.mark.parametrize("path", [f"/{TENANT}/v2.0/.well-known/openid-configuration", "/common/discovery/v2.0/keys"])
def test_documents_may_be_kept_for_a_day(emulator: Emulator, path: str):
    found = emulator.web.get(emulator.url() + path).headers
    assert found["cache-control"] == "max-age=86400, private"
    assert found["access-control-allow-origin"] == "*"


def test_answers_of_the_authority_carry_its_headers(emulator: Emulator):
    for answer in (emulator.ask_token(scope=VAULT_SCOPE), emulator.ask_token(scope="openid")):
        assert (answer.headers["cache-control"], answer.headers["expires"]) == ("no-store, no-cache", "-1")
        assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert len(answer.headers["x-ms-request-id"]) == 36


def test_a_slash_at_the_end_of_the_resource_stays_in_the_audience(emulator: Emulator):
    for scope, audience in (
        ("https://management.core.windows.net//.default", "https://management.core.windows.net/"),
        (VAULT_SCOPE, "https://vault.azure.net"),
    ):
        claims = json.loads(unpad(emulator.token(scope).split(".")[1]))
        assert claims["aud"] == audience


def test_a_token_verifies_under_the_published_key(emulator: Emulator):
    header, body, signature = emulator.token().split(".")
    key = emulator.web.get(f"{emulator.url()}/common/discovery/v2.0/keys").json()["keys"][0]
    numbers = [int.from_bytes(unpad(key[name]), "big") for name in ("e", "n")]
    public = rsa.RSAPublicNumbers(*numbers).public_key()
    public.verify(unpad(signature), f"{header}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    claims = json.loads(unpad(body))
    assert claims["aud"] == "https://vault.azure.net"
    assert claims["iss"] == f"https://sts.windows.net/{TENANT}/"
    assert (claims["appid"], claims["tid"]) == (CLIENT, TENANT)
    assert json.loads(unpad(header))["kid"] == key["kid"]


@pytest.mark.parametrize(
    ("form", "status", "error", "number"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000218),
        ({"client_id": "nobody"}, 400, "unauthorized_client", 700016),
        ({"tenant": "99999999-9999-9999-9999-999999999999"}, 400, "invalid_tenant", 90002),
        ({"tenant": "nobody.example"}, 400, "invalid_tenant", 90002),
        ({"tenant": "9" * 8}, 400, "invalid_request", 900023),
        ({"tenant": "no_domain.example"}, 400, "invalid_request", 900023),
        ({"tenant": "emulator."}, 400, "invalid_request", 900023),
        ({"resource": "https://vault.azure.net"}, 400, "invalid_request", 901002),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"grant_type": ""}, 400, "invalid_request", 900144),
        ({"scope": "openid"}, 400, "invalid_scope", 1002012),
        ({"scope": "https://elsewhere.example/.default"}, 400, "invalid_resource", 500011),
    ],
)
def test_each_refusal_has_its_number(emulator: Emulator, form: dict[str, str], status: int, error: str, number: int):
    answer = emulator.ask_token(**{"scope": VAULT_SCOPE, **form})
    found = answer.json()
    assert (answer.status_code, found["error"], found["error_codes"]) == (status, error, [number])
    assert found["error_description"].startswith(f"AADSTS{number}: ")
    assert {"timestamp", "trace_id", "correlation_id"} <= set(found)


def test_a_request_without_a_scope_is_told_so(emulator: Emulator):
    found = emulator.ask_token().json()
    assert (found["error"], found["error_codes"]) == ("invalid_request", [900144])
    assert "must contain the following parameter: 'scope'." in found["error_description"]


def test_an_expired_secret_says_so(emulator: Emulator):
    emulator.control("POST", "clients", {"client_id": "old", "secret": "s", "secret_expired": True})
    found = emulator.ask_token(client_id="old", client_secret="s", scope=VAULT_SCOPE).json()
    assert found["error_codes"] == [7000222]


def test_the_sdk_passes_the_text_of_a_wrong_secret_on(emulator: Emulator):
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        emulator.keys(credential=emulator.credential(secret="wrong")).get_key("k")


def test_an_unknown_tenant_fails_in_discovery(emulator: Emulator):
    with pytest.raises(ClientAuthenticationError, match="Unable to get authority configuration"):
        emulator.credential(tenant="99999999-9999-9999-9999-999999999999").get_token(VAULT_SCOPE)


def test_basic_authorization_and_the_older_endpoint_work(emulator: Emulator):
    address = f"{emulator.url()}/{TENANT}/oauth2/token?client-request-id=1"
    form = {"grant_type": "client_credentials", "resource": "https://vault.azure.net"}
    found = emulator.web.post(address, data=form, auth=(CLIENT, SECRET)).json()
    assert found["resource"] == "https://vault.azure.net"
    assert emulator.raw("GET", "/keys", headers={"Authorization": f"Bearer {found['access_token']}"}).status_code == 200


def test_the_token_endpoint_takes_only_posts(emulator: Emulator):
    answer = emulator.web.get(f"{emulator.url()}/{TENANT}/oauth2/v2.0/token")
    assert answer.json()["error_codes"] == [900561]
    assert "only accepts POST requests. Received a GET request." in answer.json()["error_description"]
