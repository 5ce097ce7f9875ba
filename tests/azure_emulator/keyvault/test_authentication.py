"""Sign-in at a vault: challenge first, then the token itself."""

from __future__ import annotations

import base64
import json

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.keyvault.keys import KeyClient

from tests.azure_emulator.blobs import b64url
from tests.azure_emulator.harness import TENANT, Emulator


@pytest.mark.parametrize("path", ["/keys", "/keys/bad_name", "/nonsense", "/", "/keys/k/create", "/deletedkeys/x/y/z"])
def test_the_challenge_comes_before_any_other_check(emulator: Emulator, path: str):
    answer = emulator.web.post(emulator.url() + path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer authorization="{emulator.url()}/{TENANT}", resource="https://vault.azure.net"'
    )
    message = "AKV10000: Request is missing a Bearer, PoP, or MTLS_POP token."
    assert answer.json() == {"error": {"code": "Unauthorized", "message": message}}


def test_the_challenge_names_the_host_the_client_used(emulator: Emulator):
    by_name = emulator.web.get(f"{emulator.url('kv-standard', 'localhost')}/keys").headers["WWW-Authenticate"]
    assert f'"https://localhost:{emulator.port}/{TENANT}"' in by_name
    mapped = emulator.web.get(f"{emulator.url()}/keys", headers={"Host": "kv-standard.vault.azure.net"})
    assert f'"https://login.microsoftonline.com/{TENANT}"' in mapped.headers["WWW-Authenticate"]


def test_a_token_for_another_audience_is_refused(emulator: Emulator):
    token = emulator.token("https://management.azure.com/.default")
    answer = emulator.raw("GET", "/keys", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert "AKV10022" in answer.json()["error"]["message"]


def test_a_token_of_another_tenant_is_refused_with_both_issuers(emulator: Emulator):
    other = "44444444-4444-4444-4444-444444444444"
    emulator.control("POST", "clients", {"client_id": "foreign", "secret": "s", "tenant_id": other})
    token = emulator.token(tenant=other, client_id="foreign", client_secret="s")
    message = emulator.raw("GET", "/keys", headers={"Authorization": f"Bearer {token}"}).json()["error"]["message"]
    assert "AKV10032" in message
    assert f"https://sts.windows.net/{TENANT}/" in message
    assert f"https://sts.windows.net/{other}/" in message


def test_an_expired_token_is_refused(emulator: Emulator):
    emulator.control("POST", "settings", {"token_lifetime": 0})
    assert emulator.raw("GET", "/keys").status_code == 401


def refused(emulator: Emulator, authorization: str) -> str:
    """The text for this header, whose refusal has a challenge like any other."""
    answer = emulator.raw("GET", "/keys", headers={"Authorization": authorization})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "Unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization=")
    return str(answer.json()["error"]["message"])


@pytest.mark.parametrize(
    "token", ["x", "a.b.c", "Basic abc", "e30.e30", "e30.e30.AA.AA", "W10.e30.AA", "e30.bnVsbA.AA", "é.é.é"]
)
def test_a_malformed_token_is_unreadable(emulator: Emulator, token: str):
    header = f"Bearer {token}".encode().decode("latin-1")
    assert refused(emulator, header) == "[BearerReadAccessTokenFailed] Error validating token: 'S2S12005'."


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Basic eDp5", "PoP e30.e30.AA", "e30.e30.AA"])
def test_another_scheme_is_no_token(emulator: Emulator, authorization: str):
    assert refused(emulator, authorization).startswith("AKV10000: ")


@pytest.mark.parametrize("change", [{"alg": "none"}, {"alg": "HS256"}, {"alg": ["RS256"]}, {"kid": "x"}, {"jwk": {}}])
def test_a_token_with_another_header_has_no_known_signature(emulator: Emulator, change: dict[str, object]):
    header, body, signature = emulator.token().split(".")
    changed = b64url(json.dumps(json.loads(base64.urlsafe_b64decode(header + "==")) | change).encode())
    assert refused(emulator, f"Bearer {changed}.{body}.{signature}").endswith(f"EncodedJwtHeader: '{changed}'.")
    assert refused(emulator, f"Bearer {changed}.{body}.").startswith("AKV10046: ")


def test_a_tampered_token_is_refused(emulator: Emulator):
    header, body, signature = emulator.token().split(".")
    spoiled = signature[:-8] + ("A" * 8 if signature[-8:] != "A" * 8 else "B" * 8)
    assert refused(emulator, f"Bearer {header}.{body}.{spoiled}") == (
        f"AKV10046: Unable to resolve the key used for signature validation. EncodedJwtHeader: '{header}'."
    )


def test_the_sdk_checks_the_resource_unless_told_otherwise(emulator: Emulator):
    strict = KeyClient(emulator.url(), emulator.credential(), connection_verify=emulator.ca)
    with strict, pytest.raises(ValueError, match="does not match"):
        strict.get_key("k")


def test_the_sdk_reports_a_refused_token_as_authentication_error(emulator: Emulator):
    emulator.fault(method="GET", path="/keys/k", status=401, count=-1)
    with pytest.raises(ClientAuthenticationError):
        emulator.keys().get_key("k")
