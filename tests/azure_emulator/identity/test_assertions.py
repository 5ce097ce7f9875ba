"""Signing in without a secret: certificates and tokens of foreign issuers."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import json
import time
import uuid
from pathlib import Path
from typing import Any

import msal
import pytest
from azure.identity import CertificateCredential, ClientAssertionCredential, WorkloadIdentityCredential
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from tests.azure_emulator.blobs import b64url
from tests.azure_emulator.harness import CLIENT, TENANT, Emulator

SCOPE = "https://vault.azure.net/.default"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ISSUER = "https://issuer.example/cluster"
SUBJECT = "system:serviceaccount:kmes:worker"


@functools.cache
def made_key(number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def key(number: int = 1) -> rsa.RSAPrivateKey:
    return made_key(number)


@functools.cache
def certificate(number: int = 1, days: int = 10) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key(number).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now + dt.timedelta(days=days))
        .sign(key(number), hashes.SHA256())
    )


def pem(*arguments: int) -> str:
    return certificate(*arguments).public_bytes(serialization.Encoding.PEM).decode()


def jwt(header: dict[str, Any], claims: dict[str, Any], signer: rsa.RSAPrivateKey, *, pss: bool = False) -> str:
    signed = f"{b64url(json.dumps(header).encode())}.{b64url(json.dumps(claims).encode())}"
    scheme: Any = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if pss else padding.PKCS1v15()
    return f"{signed}.{b64url(signer.sign(signed.encode(), scheme, hashes.SHA256()))}"


@pytest.fixture
def registered(emulator: Emulator) -> Emulator:
    emulator.control("POST", "clients", {"client_id": CLIENT, "certificates": [pem(2), pem()]})
    return emulator


def claims(emulator: Emulator, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    found = {
        "aud": f"{emulator.url()}/{TENANT}/oauth2/v2.0/token", "iss": CLIENT, "sub": CLIENT, "jti": str(uuid.uuid4()),
        "nbf": now, "exp": now + 600, **changes,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def header(**changes: Any) -> dict[str, Any]:
    found = {"alg": "RS256", "typ": "JWT", "x5t": b64url(certificate().fingerprint(hashes.SHA1())), **changes}
    return {name: value for name, value in found.items() if value is not None}


def refusal(emulator: Emulator, assertion: str, **form: str) -> tuple[int, str]:
    """The AADSTS number, 0 when a token came, and the text."""
    sent = {"client_secret": "", "client_assertion_type": TYPE, "client_assertion": assertion, "scope": SCOPE, **form}
    answer = emulator.ask_token(**sent).json()
    return answer.get("error_codes", [0])[0], answer.get("error_description", "")


def test_a_registered_certificate_signs_in(registered: Emulator):
    s256 = b64url(certificate().fingerprint(hashes.SHA256()))
    assert refusal(registered, jwt(header(), claims(registered), key()))[0] == 0
    pss = header(alg="PS256", x5t=None, **{"x5t#S256": s256})
    assert refusal(registered, jwt(pss, claims(registered), key(), pss=True))[0] == 0
    older = claims(registered, aud=f"{registered.url()}/{TENANT}/oauth2/token", nbf=None)
    assert refusal(registered, jwt(header(**{"x5t#S256": s256}), older, key()))[0] == 0


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"aud": "https://login.microsoftonline.com/other/oauth2/v2.0/token"}, 700023),
        ({"aud": None}, 700023),
        ({"iss": "someone"}, 700021),
        ({"sub": "someone"}, 700021),
        ({"exp": 1}, 700024),
        ({"nbf": 9_999_999_999, "exp": 10_000_000_000}, 700024),
        ({"exp": None}, 50027),
        ({"exp": "soon"}, 50027),
        ({"jti": None}, 50027),
    ],
)
def test_each_wrong_claim_has_its_number(registered: Emulator, changes: dict[str, Any], number: int):
    assert refusal(registered, jwt(header(), claims(registered, **changes), key()))[0] == number


@pytest.mark.parametrize(
    ("changes", "number", "said"),
    [
        ({"x5t": None}, 50027, "x5t"),
        ({"x5t": b64url(b"no such certificate!")}, 700027, "The key was not found"),
        ({"x5t#S256": b64url(bytes(32))}, 700027, "The key was not found"),
        ({"alg": "none"}, 5002738, "'none'"),
        ({"alg": "HS256"}, 5002738, "'HS256'"),
        ({"alg": "PS256"}, 700027, "signature"),
    ],
)
def test_each_wrong_header_has_its_number(registered: Emulator, changes: dict[str, Any], number: int, said: str):
    found, text = refusal(registered, jwt(header(**changes), claims(registered), key()))
    assert (found, said in text) == (number, True), text


def test_a_signature_of_another_key_and_an_expired_certificate_are_refused(registered: Emulator):
    found, text = refusal(registered, jwt(header(), claims(registered), key(2)))
    assert (found, "signature validation" in text) == (700027, True)
    registered.control("POST", "clients", {"client_id": CLIENT, "certificates": [pem(3, -1)]})
    expired = header(x5t=b64url(certificate(3, -1).fingerprint(hashes.SHA1())))
    found, text = refusal(registered, jwt(expired, claims(registered), key(3)))
    assert (found, "expired" in text) == (700027, True)


@pytest.mark.parametrize("assertion", ["x", "a.b.c", "e30.e30.e30", "W10.W10.AA"])
def test_what_is_no_token_is_refused(registered: Emulator, assertion: str):
    assert refusal(registered, assertion)[0] in {50027, 5002738}


def test_the_type_of_the_assertion_must_be_named(registered: Emulator):
    assertion = jwt(header(), claims(registered), key())
    assert refusal(registered, assertion, client_assertion_type="")[0] == 900144
    assert refusal(registered, assertion, client_assertion_type="saml")[0] == 90023


def test_an_assertion_can_be_used_again_unless_switched_off(registered: Emulator):
    assertion = jwt(header(), claims(registered), key())
    assert [refusal(registered, assertion)[0] for _ in range(2)] == [0, 0]
    registered.control("POST", "settings", {"refuse_replayed_assertions": True})
    assert [refusal(registered, assertion)[0] for _ in range(2)] == [0, 50013]
    assert refusal(registered, jwt(header(), claims(registered), key()))[0] == 0


def test_the_control_api_shows_thumbprints_and_takes_certificates_only(registered: Emulator):
    (client,) = [each for each in registered.control("GET", "clients") if each["client_id"] == CLIENT]
    assert client["certificates"][1]["x5t"] == header()["x5t"]
    for wrong in (["x"], "x", [pem().replace("A", "!")]):
        body = {"client_id": CLIENT, "certificates": wrong}
        assert registered.web.post(f"{registered.url()}/_emulator/clients", json=body).status_code == 400


def private_pem() -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key().private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def test_the_sdk_signs_in_with_a_certificate(registered: Emulator):
    options: dict[str, Any] = {
        "authority": registered.url(), "disable_instance_discovery": True, "connection_verify": registered.ca
    }  # fmt: skip
    data = private_pem() + pem().encode()
    with CertificateCredential(TENANT, CLIENT, certificate_data=data, **options) as credential:
        assert list(registered.keys(credential=credential).list_properties_of_keys()) == []
        # MSAL sends one assertion for several scopes.
        assert credential.get_token("https://management.azure.com/.default").token


def test_the_assertions_that_msal_makes_for_itself_are_accepted(registered: Emulator):
    # With the certificate at hand MSAL signs by PS256 and names it by SHA-256; with its SHA-1 thumbprint by RS256.
    for proof in ({"public_certificate": pem()}, {"thumbprint": certificate().fingerprint(hashes.SHA1()).hex()}):
        application = msal.ConfidentialClientApplication(
            CLIENT,
            authority=f"{registered.url()}/{TENANT}",
            client_credential={"private_key": private_pem().decode(), **proof},
            http_client=registered.web,
            instance_discovery=False,
        )
        answer = application.acquire_token_for_client([SCOPE])
        assert answer.get("access_token"), answer


@pytest.fixture
def federated(emulator: Emulator) -> Emulator:
    emulator.control("POST", "issuers", {"issuer": ISSUER})
    entry = {"issuer": ISSUER, "subject": SUBJECT}
    emulator.control("POST", "clients", {"client_id": CLIENT, "federated": [entry]})
    return emulator


def foreign(emulator: Emulator, **changes: Any) -> str:
    body = {"issuer": ISSUER, "subject": SUBJECT, **changes}
    return str(emulator.control("POST", "federated-tokens", body)["token"])


def test_a_token_of_a_registered_issuer_signs_in_again_and_again(federated: Emulator):
    assertion = foreign(federated)
    federated.control("POST", "settings", {"refuse_replayed_assertions": True})
    assert [refusal(federated, assertion)[0] for _ in range(2)] == [0, 0]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"issuer": "https://issuer.example/other"}, 700211),
        ({"issuer": f"{ISSUER}/"}, 700211),
        ({"subject": "system:serviceaccount:kmes:other"}, 700213),
        ({"audience": "https://vault.azure.net"}, 700212),
        ({"lifetime": -900}, 700024),
    ],
)
def test_a_foreign_token_that_does_not_match_has_its_number(federated: Emulator, changes: dict[str, Any], number: int):
    assert refusal(federated, foreign(federated, **changes))[0] == number


def test_a_foreign_token_is_verified_under_the_issuers_own_keys(federated: Emulator):
    numbers = key().public_key().public_numbers()
    n, e = (b64url(value.to_bytes((value.bit_length() + 7) // 8, "big")) for value in (numbers.n, numbers.e))
    jwks = {"keys": [{"kty": "EC", "kid": "1"}, {"kty": "RSA", "kid": "1", "n": n, "e": e}]}
    federated.control("POST", "issuers", {"issuer": ISSUER, "jwks": jwks})
    assert refusal(federated, foreign(federated))[0] == 50013
    own = claims(federated, iss=ISSUER, sub=SUBJECT, aud="api://AzureADTokenExchange", jti=None)
    assert refusal(federated, jwt({"alg": "RS256", "kid": "1"}, own, key()))[0] == 0
    assert refusal(federated, jwt({"alg": "RS256", "kid": "2"}, own, key()))[0] == 50013
    assert refusal(federated, jwt({"alg": "RS256", "kid": "1"}, own, key(2)))[0] == 50013


def test_the_sdk_signs_in_with_a_foreign_token(federated: Emulator, tmp_path: Path):
    options: dict[str, Any] = {
        "authority": federated.url(), "disable_instance_discovery": True, "connection_verify": federated.ca
    }  # fmt: skip
    token_file = tmp_path / "token"
    token_file.write_text(foreign(federated))
    workload = WorkloadIdentityCredential(
        tenant_id=TENANT, client_id=CLIENT, token_file_path=str(token_file), **options
    )
    with workload:
        assert list(federated.keys(credential=workload).list_properties_of_keys()) == []
    with ClientAssertionCredential(TENANT, CLIENT, lambda: foreign(federated), **options) as assertion:
        assert assertion.get_token(SCOPE).token


@pytest.mark.parametrize("body", [{"issuer": ""}, {"issuer": ISSUER, "jwks": {"keys": 1}}, []])
def test_a_senseless_issuer_is_refused(emulator: Emulator, body: object):
    assert emulator.web.post(f"{emulator.url()}/_emulator/issuers", json=body).status_code == 400


def test_a_token_tells_how_its_client_signed_in(registered: Emulator):
    answer = registered.ask_token(
        client_secret="", scope=SCOPE, client_assertion_type=TYPE,
        client_assertion=jwt(header(), claims(registered), key()),
    )  # fmt: skip
    body = answer.json()["access_token"].split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(body + "==="))["appidacr"] == "2"
