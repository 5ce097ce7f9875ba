"""An identity provider that answers what no honest one would, slowly or with text that is none."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import threading
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from django.test import Client

from kmes.accounts.company_sign_on import transport
from kmes.accounts.company_sign_on.errors import ProviderUnreachable
from tests.accounts.sign_on_pages import LOGOUT, begin, is_in, provider, running, sign_in
from tests.attacks.certificates import make_authority, make_certificate
from tests.people import body

__all__ = ["provider", "running"]
HALF = "\ud800"


def part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def sign_text(provider, claims: str) -> str:
    """Sign claims as they are written, which no library would write."""
    text = f"{part(json.dumps({'alg': 'RS256', 'kid': 'first'}).encode())}.{part(claims.encode())}"
    return f"{text}.{part(provider.key.private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def with_number(name: str, number: str):
    return lambda claims: json.dumps({**claims, name: "HERE"}).replace('"HERE"', number)


ODD_CLAIMS = {
    "half a character as nonce": lambda claims: json.dumps({**claims, "nonce": HALF}),
    "half a character as subject": lambda claims: json.dumps({**claims, "sub": HALF}),
    "half a character in a name": lambda claims: json.dumps({**claims, "given_name": HALF}),
    "half a character in the name of a claim": lambda claims: json.dumps({**claims, HALF: 1}),
    "an endless end": with_number("exp", "1e999"),
    "an endless time": with_number("iat", "-1e999"),
    "no number as time": with_number("iat", "NaN"),
    "a number of many digits": with_number("more", "9" * 6000),
    "many brackets": with_number("more", "[" * 20_000 + "]" * 20_000),
}


@pytest.mark.django_db
@pytest.mark.parametrize("how", ODD_CLAIMS)
def test_claims_that_no_honest_provider_writes_are_refused_in_words(provider, how):
    provider.make_token = lambda claims: sign_text(provider, ODD_CLAIMS[how](claims))
    client, answer = sign_in(provider)
    assert (answer.status_code, is_in(client)) == (403, False)


@pytest.mark.django_db
@pytest.mark.parametrize("token", [f"{HALF}.x.y", "é.x.y", 7, ["x"], None])
def test_an_answer_without_a_token_in_it_is_refused_in_words(provider, client, token, monkeypatch):
    provider.make_token = lambda _claims: token
    assert client.get(provider.authorize(begin(client))).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize(
    "header", [b"[" * 40_000, b'{"a":' * 8000, b"\xff", b"[]", b'{"alg":{}}', b'{"alg":"RS256","kid":[]}']
)
def test_a_stranger_s_logout_token_with_a_strange_header_is_refused(provider, header):
    answer = Client().post(LOGOUT, {"logout_token": f"{part(header)}.{part(b'{}')}.{part(b'x')}"})
    assert (answer.status_code, body(answer)) == (400, '{"error": "invalid_request"}')


@pytest.mark.django_db
@pytest.mark.parametrize(
    "key",
    [
        {"n": 7},
        {"n": HALF},
        {"n": "_" * 90_000},
        {"e": "A" * 40_000},
        {"kty": []},
        {"kty": "EC", "crv": []},
        {"alg": {}},
        {"kid": ["first"]},
    ],
)
def test_a_key_that_is_none_signs_nobody_in(provider, key):
    provider.keys = [{**provider.key.published, **key}]
    client, answer = sign_in(provider)
    assert (answer.status_code, is_in(client)) == (403, False)


# --- Slow answers -----------------------------------------------------------------------------------
@pytest.fixture
def slow_provider(tmp_path, settings, monkeypatch):
    """Listen, and give each connection to a function; return the address."""
    certificate = tmp_path / "server.pem"
    make_certificate(make_authority(tmp_path / "authority.pem"), certificate, host="127.0.0.1")
    settings.KMES_CA_FILE, settings.KMES_SIGN_ON_PRIVATE_HOSTS = str(tmp_path / "authority.pem"), ["127.0.0.1"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    threads = []

    def serve(talk):
        listener = socket.create_server(("127.0.0.1", 0))

        def accept():
            with listener, listener.accept()[0] as connection, contextlib.suppress(OSError):
                talk(connection, context)

        threads.append(threading.Thread(target=accept))
        threads[-1].start()
        return f"https://127.0.0.1:{listener.getsockname()[1]}/"

    yield serve
    for each in threads:
        each.join(timeout=30)


def test_an_answer_that_drips_after_a_slow_beginning_is_cut_off(slow_provider, monkeypatch):
    """The time is over while TLS begins: nothing may begin anew after it."""
    monkeypatch.setattr(transport, "SECONDS", 1)
    connect = socket.create_connection

    def connect_from_far(*arguments):
        time.sleep(0.5)
        return connect(*arguments)

    monkeypatch.setattr(socket, "create_connection", connect_from_far)

    def drip(connection, context):
        time.sleep(0.8)
        with context.wrap_socket(connection, server_side=True) as secured:
            for _each in range(400):
                secured.sendall(b"H")
                time.sleep(0.1)

    began = time.monotonic()
    with pytest.raises(ProviderUnreachable):
        transport.get_json(slow_provider(drip))
    assert time.monotonic() - began < 20


def test_what_came_before_the_end_of_the_time_is_no_answer(slow_provider, monkeypatch):
    """An answer without a length ends with its connection, also with one that this side has cut off."""
    monkeypatch.setattr(transport, "SECONDS", 1)

    def stall(connection, context):
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(4096)
            secured.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}")
            secured.recv(1)

    with pytest.raises(ProviderUnreachable):
        transport.get_json(slow_provider(stall))
