"""Answers that are cut, too long, slow, rewritten or not the service's own."""

from __future__ import annotations

import json
import socket
import ssl
import time
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import KeyClient

from tests.azure_emulator.harness import API, CLIENT, SECRET, TENANT, Emulator

LIST = f"/keys?api-version={API}"


def received(emulator: Emulator, path: str, method: str = "GET", body: bytes = b"") -> bytes:
    """All bytes of one answer until the connection ends."""
    context = ssl.create_default_context(cafile=emulator.ca)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{emulator.port}\r\nConnection: close\r\n"
        f"Authorization: Bearer {emulator.token()}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", emulator.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        secured.sendall(head.encode() + body)
        answer = b""
        while part := secured.recv(65536):
            answer += part
    return answer


def split(answer: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return {line.split(": ", 1)[0]: line.split(": ", 1)[1] for line in lines}, body


def test_an_answer_is_cut_after_its_effect(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    emulator.fault(method="PATCH", path="/keys/k/*", cut_after=40)
    body = json.dumps({"attributes": {"enabled": False}}).encode()
    headers, rest = split(received(emulator, f"/keys/k/?api-version={API}", "PATCH", body))
    assert len(rest) == 40
    assert int(headers["Content-Length"]) > 40
    assert keys.get_key("k").properties.enabled is False


def test_an_answer_is_cut_before_any_effect(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    emulator.fault(method="PATCH", path="/keys/k/*", cut_after=40, when="before")
    body = json.dumps({"attributes": {"enabled": False}}).encode()
    assert len(split(received(emulator, f"/keys/k/?api-version={API}", "PATCH", body))[1]) == 40
    assert keys.get_key("k").properties.enabled is True


@pytest.mark.parametrize("size", [0, 5, 60])
def test_an_answer_is_cut_inside_its_head(emulator: Emulator, size: int):
    emulator.fault(method="GET", path="/keys", cut_head_after=size)
    assert len(received(emulator, LIST)) == size


def test_a_cut_answer_is_an_error_to_other_clients_too(emulator: Emulator):
    emulator.fault(method="GET", path="/keys", cut_after=3)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        emulator.raw("GET", "/keys")


@pytest.mark.parametrize("claimed", [0, 10, 1000])
def test_the_length_can_be_wrong(emulator: Emulator, claimed: int):
    emulator.fault(method="GET", path="/keys", content_length=claimed)
    headers, body = split(received(emulator, LIST))
    assert int(headers["Content-Length"]) == claimed
    assert json.loads(body)["value"] == []


def test_a_body_drips_and_a_large_one_arrives_whole(emulator: Emulator):
    emulator.fault(method="GET", path="/keys", drip_ms=10, drip_bytes=2)
    started = time.monotonic()
    assert emulator.raw("GET", "/keys").json() == {"value": [], "nextLink": None}
    assert time.monotonic() - started > 0.1
    emulator.fault(method="GET", path="/keys", pad_bytes=3_000_000)
    answer = emulator.raw("GET", "/keys")
    assert len(answer.content) > 3_000_000
    assert answer.json()["value"] == []


def test_an_answer_can_be_held_open(emulator: Emulator):
    emulator.fault(method="GET", path="/keys", content_length=5000, hold_ms=300)
    started = time.monotonic()
    received(emulator, LIST)
    assert time.monotonic() - started > 0.3


def test_a_foreign_page_comes_in_place_of_the_answer(emulator: Emulator, keys: KeyClient):
    emulator.fault(method="GET", path="/keys/*", status=404, body="<h1>Not here</h1>", content_type="text/html")
    answer = emulator.raw("GET", "/keys/k")
    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (404, "<h1>Not here</h1>", "text/html")
    emulator.fault(method="POST", path="*/create", body="fine", when="after")
    assert emulator.raw("POST", "/keys/k/create", json={"kty": "EC"}).text == "fine"
    assert keys.get_key("k").name == "k"


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2099 07:28:00 GMT", "-1", "soon", "1000000000", ""])
def test_retry_after_can_be_any_text(emulator: Emulator, value: str):
    emulator.fault(method="GET", path="/keys", status=429, retry_after=value)
    assert emulator.raw("GET", "/keys").headers["Retry-After"] == value


def test_headers_can_be_set_and_a_redirect_is_possible(emulator: Emulator):
    elsewhere = "https://elsewhere.example/keys"
    emulator.fault(method="GET", path="/keys", status=307, headers={"Location": elsewhere})
    answer = emulator.raw("GET", "/keys", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, elsewhere)


def test_pages_without_end(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    emulator.fault(method="GET", path="/keys", endless_pages=True, count=-1)
    pages = keys.list_properties_of_keys().by_page()
    assert [[key.name for key in next(pages)] for _ in range(5)] == [["k"]] * 5
    links = {emulator.raw("GET", "/keys").json()["nextLink"] for _ in range(3)}
    assert len(links) == 3
    emulator.fault(part="arm", path="/subscriptions", endless_pages=True)
    assert arm(emulator, "/subscriptions")["nextLink"].startswith(f"{emulator.url()}/subscriptions?")


def arm(emulator: Emulator, path: str) -> dict[str, Any]:
    token = {"Authorization": f"Bearer {emulator.token('https://management.azure.com/.default')}"}
    return dict(emulator.web.get(f"{emulator.url()}{path}?api-version=2022-12-01", headers=token).json())


def test_links_can_lead_elsewhere(emulator: Emulator):
    elsewhere = "https://elsewhere.example/keys"
    emulator.fault(method="GET", path="/keys", replace={"nextLink": elsewhere})
    assert emulator.raw("GET", "/keys").json()["nextLink"] == elsewhere
    emulator.fault(part="entra", path="*openid-configuration", replace={"token_endpoint": elsewhere})
    configuration = f"{emulator.url()}/{TENANT}/v2.0/.well-known/openid-configuration"
    assert emulator.web.get(configuration).json()["token_endpoint"] == elsewhere
    emulator.fault(part="arm", path="/subscriptions", replace={"nextLink": elsewhere})
    assert arm(emulator, "/subscriptions")["nextLink"] == elsewhere


def test_members_of_an_answer_can_be_replaced_and_removed(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    emulator.fault(method="GET", path="/keys/k", replace={"key.kty": "AKP", "a.b": 1}, remove=["attributes", "no.such"])
    found = emulator.raw("GET", "/keys/k").json()
    assert (found["key"]["kty"], found["a"], "attributes" in found) == ("AKP", {"b": 1}, False)


def test_entries_of_a_listing_can_be_changed(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    changed = {"value.0.kid": "https://elsewhere.example/keys/k", "value.7.kid": "x", "value.x": 1}
    emulator.fault(method="GET", path="/keys", replace=changed, remove=["value.0.attributes", "value.9.kid"])
    assert emulator.raw("GET", "/keys").json()["value"] == [{"kid": "https://elsewhere.example/keys/k"}]


@pytest.mark.parametrize(("asked", "kty", "bits"), [({"kty": "RSA", "size": 1024}, "RSA", 1024), ({"size": 2048}, "RSA-HSM", 2048)])  # fmt: skip
def test_a_vault_can_make_another_key_than_asked(
    emulator: Emulator, keys: KeyClient, asked: dict[str, Any], kty: str, bits: int
):
    emulator.fault(method="POST", path="/keys/kek/create", make_key=asked)
    kek = keys.create_rsa_key("kek", size=4096, hardware_protected=True, key_operations=["import"])
    assert (kek.key_type, len(kek.key.n) * 8, kek.key_operations) == (kty, bits, ["import"])


def test_secrets_can_be_echoed_in_errors(emulator: Emulator):
    emulator.fault(part="entra", path="*/token", echo=["client_secret"], message="Wrong:\nline")
    answer = emulator.ask_token(scope="https://vault.azure.net/.default")
    assert (answer.status_code, answer.json()["error_codes"]) == (401, [7000215])
    assert f"Wrong:\nline {SECRET}" in answer.json()["error_description"]
    emulator.fault(method="GET", path="/keys", echo=["authorization"], status=403)
    assert "Bearer eyJ" in emulator.raw("GET", "/keys").json()["error"]["message"]


def test_a_stray_challenge_can_come_before_sign_in(emulator: Emulator):
    other = f'Bearer authorization="{emulator.url()}/{"9" * 8}", resource="https://vault.azure.net"'
    emulator.fault(path="/keys/*", status=401, headers={"WWW-Authenticate": other}, before_sign_in=True)
    emulator.fault(path="/keys/*", status=418)
    assert emulator.web.get(f"{emulator.url()}/keys/k").headers["WWW-Authenticate"] == other
    assert emulator.web.get(f"{emulator.url()}/keys/k").status_code == 401
    with pytest.raises(HttpResponseError) as caught:
        emulator.keys().get_key("k")
    assert caught.value.status_code == 418


@pytest.mark.parametrize(
    "fault",
    [{"headers": {"a b": "c"}}, {"headers": {"a": "b\r\nc"}}, {"cut_after": "x"}, {"echo": ["password"]},
     {"make_key": {"colour": 1}}, {"status": 500, "retry_after": []}, {"reset": 1}, {"replace": []}],
)  # fmt: skip
def test_senseless_damage_is_refused(emulator: Emulator, fault: object):
    assert emulator.web.post(f"{emulator.url()}/_emulator/faults", json=fault).status_code == 400


def test_the_request_log_names_the_client_of_each_part(emulator: Emulator):
    emulator.ask_token(scope="https://vault.azure.net/.default")
    arm(emulator, "/subscriptions")
    assert {entry["client"] for entry in emulator.control("GET", "requests")} == {CLIENT}
