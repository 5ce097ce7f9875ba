"""What other clients see on the wire: paths, versions, headers, error forms."""

from __future__ import annotations

import socket
import ssl
import time
from email.utils import parsedate_to_datetime

import pytest
from uvicorn import Config

from azure_emulator.server import modern_tls
from tests.azure_emulator.harness import API, TENANT, Emulator


@pytest.fixture
def kid(emulator: Emulator) -> str:
    return str(emulator.raw("POST", "/keys/k/create", json={"kty": "RSA"}).json()["key"]["kid"])


@pytest.mark.parametrize("path", ["/keys/k", "/keys/k/", "/KEYS/K/", "/keys/k//"])
def test_trailing_slashes_and_letter_case_do_not_matter(emulator: Emulator, kid: str, path: str):
    assert emulator.raw("GET", path).json()["key"]["kid"] == kid


@pytest.mark.parametrize("path", ["/keys/k//sign", "/keys/k/sign", "/keys/k//SIGN", "//keys//k/sign"])
def test_an_empty_version_signs_with_the_current_one(emulator: Emulator, kid: str, path: str):
    body = {"alg": "RS256", "value": "A" * 43}
    assert emulator.raw("POST", path, json=body).json()["kid"] == kid


@pytest.mark.parametrize(
    "version",
    [
        "2016-10-01",
        "7.0",
        "7.4",
        "7.6",
        "7.6-preview.2",
        "7.5-preview.1",
        "2025-07-01",
        "2026-01-01-preview",
        "2026-04-01",
    ],
)
def test_known_and_preview_versions_are_taken(emulator: Emulator, version: str):
    assert emulator.raw("GET", f"/keys?api-version={version}").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "?",
        "?api-version=",
        "?api-version=8.0",
        "?api-version=1.0",
        "?api-version=x",
        "?api-version=7.9",
        "?api-version=2025-13-01",
        "?api-version=2026-04-02",
    ],
)
def test_a_missing_or_unknown_version_is_400(emulator: Emulator, query: str):
    answer = emulator.raw("GET", f"/keys{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")


def test_a_percent_encoded_parameter_name_is_read(emulator: Emulator):
    assert emulator.raw("GET", f"/keys?api%2Dversion={API}").status_code == 200


def test_answers_carry_the_services_headers(emulator: Emulator, kid: str):
    answer = emulator.raw("GET", "/keys/k", headers={"x-ms-client-request-id": "mine"})
    found = answer.headers
    assert found["content-type"] == "application/json; charset=utf-8"
    assert found["x-ms-client-request-id"] == "mine"
    assert len(found["x-ms-request-id"]) == 36
    assert (found["cache-control"], found["pragma"], found["expires"]) == ("no-cache", "no-cache", "-1")
    assert found["x-ms-keyvault-region"] == "westeurope"
    assert "x-ms-keyvault-network-info" in found
    assert "x-ms-keyvault-service-version" in found
    assert "strict-transport-security" in found
    assert found["x-content-type-options"] == "nosniff"
    refused = emulator.raw("GET", "/keys/none")
    assert "x-ms-request-id" in refused.headers
    assert set(refused.json()) == {"error"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nonsense", 404), ("GET", "/keys/a/b/c/d", 404), ("POST", "/keys", 405),
     ("DELETE", "/keys/k/" + "0" * 32, 405), ("PUT", "/deletedkeys/k", 405), ("POST", "/rng", 400),
     ("POST", "/keys/k", 400)],
)  # fmt: skip
def test_what_does_not_exist_is_a_json_error(emulator: Emulator, method: str, path: str, status: int):
    answer = emulator.raw(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["code"]
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    ("method", "path", "word"),
    [("GET", "/keys/k/create", "create"), ("GET", "/keys/k/latest", "latest"), ("GET", "/keys/k//attestation", "attestation"),
     ("DELETE", "/deletedkeys/k/purge", "purge"), ("PATCH", "/keys/k/" + "0" * 31, "0" * 31), ("GET", "/keys/k/x/sign", "sign"),
     ("GET", "/keys/k/" + "0" * 32 + "/sign", "sign"), ("POST", "/keys/k/" + "0" * 32 + "/create", "create")],
)  # fmt: skip
def test_what_is_no_version_is_read_as_an_operation(emulator: Emulator, kid: str, method: str, path: str, word: str):
    answer = emulator.raw(method, path)
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        {"code": "BadParameter", "message": f"Method {method} does not allow operation '{word}'"},
    )


def test_an_empty_segment_does_not_count(emulator: Emulator, kid: str):
    # The SDK for .NET sends the second of these paths.
    saved = emulator.raw("POST", "/keys/k/backup").json()
    for path in ("/keys/restore", "/keys//restore"):
        answer = emulator.raw("POST", path, json=saved)
        assert (answer.status_code, answer.json()["error"]["innererror"]["code"]) == (409, "KeyAlreadyExists")
    assert emulator.raw("GET", "//keys/k").json()["key"]["kid"] == kid


def test_head_answers_like_get_without_a_body(emulator: Emulator, kid: str):
    answer = emulator.raw("HEAD", "/keys/k")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_the_id_is_built_from_the_address_the_client_used(emulator: Emulator, kid: str):
    headers = {"Host": "kv-premium.vault.azure.net"}
    mapped = emulator.raw("GET", "/keys/k", headers=headers).json()["key"]["kid"]
    assert mapped == f"https://kv-premium.vault.azure.net/keys/k/{kid.rsplit('/', 1)[1]}"
    elsewhere = emulator.raw("GET", "/keys/k", vault="kv-standard", headers=headers)
    assert elsewhere.json()["key"]["kid"] == mapped


def test_an_unknown_vault_host_and_a_malformed_host_are_errors(emulator: Emulator):
    assert emulator.raw("GET", "/keys", headers={"Host": "kv-none.vault.azure.net"}).status_code == 404
    assert emulator.raw("GET", "/keys", headers={"Host": "a b"}).status_code == 400


def test_a_body_that_is_no_json_is_400(emulator: Emulator):
    answer = emulator.raw("POST", "/keys/k/create", data=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")


@pytest.mark.parametrize("path", ["/keys/k/create", "/keys/k/sign", "/keys/restore", "/_emulator/settings"])
def test_json_nested_too_deeply_is_malformed(emulator: Emulator, kid: str, path: str):
    assert emulator.raw("POST", path, data=b'{"a":' + b"[" * 100_000).status_code == 400


def test_a_token_nested_too_deeply_is_no_token(emulator: Emulator):
    # The header of this token is {"a": and 3,001 opening brackets.
    answer = emulator.raw("GET", "/keys", headers={"Authorization": "Bearer eyJhIjpb" + "W1tb" * 1000 + ".e30.AAAA"})
    assert answer.status_code == 401


def test_the_firewall_refuses_with_the_callers_address(emulator: Emulator):
    emulator.control("POST", "vaults/kv-premium", {"firewall": True})
    error = emulator.raw("GET", "/keys").json()["error"]
    assert error["innererror"]["code"] == "ForbiddenByFirewall"
    assert "Client address: 127.0.0.1" in error["message"]


def test_the_firewall_lets_listed_addresses_in(emulator: Emulator):
    emulator.control("POST", "vaults/kv-premium", {"firewall": True, "ip_rules": ["127.0.0.0/24"]})
    assert emulator.raw("GET", "/keys").status_code == 200
    emulator.control("POST", "vaults/kv-premium", {"ip_rules": ["203.0.113.7"]})
    assert emulator.raw("GET", "/keys").status_code == 403


def test_without_public_access_nobody_gets_in(emulator: Emulator):
    emulator.control("POST", "vaults/kv-premium", {"public_network": False})
    error = emulator.raw("GET", "/keys").json()["error"]
    assert error["innererror"]["code"] == "ForbiddenByConnection"
    assert error["message"].startswith("Public network access is disabled")


def test_private_parts_never_leave(emulator: Emulator, kid: str):
    shown = emulator.raw("GET", "/keys/k").json()["key"]
    assert set(shown) == {"kid", "kty", "key_ops", "n", "e"}


def raw_head(emulator: Emulator, target: str, *headers: str) -> list[str]:
    """The header lines as sent, and a target sent as it is; every library for HTTP hides both."""
    context = ssl.create_default_context(cafile=emulator.ca)
    with (
        socket.create_connection(("127.0.0.1", emulator.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        lines = f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{emulator.port}", "Connection: close", *headers
        secured.sendall("\r\n".join([*lines, "", ""]).encode())
        received = b""
        while part := secured.recv(65536):
            received += part
    return received.split(b"\r\n\r\n")[0].decode().split("\r\n")


@pytest.mark.parametrize("path", ["/keys?api-version=7.4", f"/{TENANT}/v2.0/.well-known/openid-configuration", "/subscriptions"])  # fmt: skip
def test_header_names_are_spelled_as_the_service_spells_them(emulator: Emulator, path: str):
    status, *lines = raw_head(emulator, path)
    names = [line.split(":")[0] for line in lines]
    assert status.startswith("HTTP/1.1 ")
    assert {"Content-Length", "Content-Type", "Date"} <= set(names)
    assert all(name.startswith("x-ms-") or name[0].isupper() for name in names), names
    assert ("WWW-Authenticate" in names) == (" 401 " in status)
    assert len({name.lower() for name in names}) == len(names)


def test_a_target_may_be_a_whole_address(emulator: Emulator, kid: str):
    # RFC 9112, 3.2.2: a server must take what clients send to proxies.
    target = f"{emulator.url()}/keys/k?api-version={API}"
    assert raw_head(emulator, target, f"Authorization: Bearer {emulator.token()}")[0].startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_offered(emulator: Emulator, version: ssl.TLSVersion):
    context = ssl.create_default_context(cafile=emulator.ca)
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", emulator.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        assert secured.version() == version.name.replace("_", ".")


def test_older_tls_is_switched_off():
    # Not tried on the wire: OpenSSL's own security level refuses older versions too.
    permissive = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    permissive.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    assert modern_tls(Config("app"), lambda: permissive).minimum_version is ssl.TLSVersion.TLSv1_2


def test_versions_of_a_missing_key_are_an_empty_list(emulator: Emulator):
    answer = emulator.raw("GET", "/keys/none/versions")
    assert (answer.status_code, answer.json()) == (200, {"value": [], "nextLink": None})


def test_texts_of_odd_requests_are_those_of_the_service(emulator: Emulator):
    recovery = emulator.raw("POST", "/deletedkeys/none/recover")
    assert (recovery.status_code, recovery.json()["error"]["code"]) == (404, "KeyNotFound")
    assert recovery.json()["error"]["message"].startswith("A key with (name/id) none was not found")
    unnamed = emulator.raw("POST", "/keys//create", json={"kty": "RSA"})
    assert (unnamed.status_code, unnamed.json()["error"]["message"]) == (400, "Operation not specified")


def test_the_date_can_be_ahead_or_behind(emulator: Emulator):
    for skew in (0, 10_800, -10_800):
        emulator.control("POST", "settings", {"date_skew_seconds": skew})
        stamped = parsedate_to_datetime(emulator.raw("GET", "/keys").headers["Date"]).timestamp()
        assert abs(stamped - time.time() - skew) < 5
