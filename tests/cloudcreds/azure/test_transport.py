"""The guarded transport: no request can be sent around its guard."""

from __future__ import annotations

import contextlib

import pytest
from azure.core.rest import HttpRequest
from urllib3.connection import HTTPSConnection

from cloudcreds.azure.answers import AskedService, SignInPlace, UnknownAnswer
from cloudcreds.azure.transport import AddressRefused, GuardedTransport, Way
from tests.damaged_answers.wire import FakeSocket

VAULT = "kv-prod.vault.azure.net"
WAY = Way(AskedService.VAULT, frozenset({f"{VAULT}:443"}), SignInPlace(frozenset(), "", ""), "public")


def test_a_transport_is_guarded_before_its_first_request():
    # Two threads may send their first request at the same time.
    transport = GuardedTransport(WAY)
    guarded = dict(transport.session.adapters)
    transport.open()
    assert dict(transport.session.adapters) == guarded
    assert set(guarded) == {"https://"}
    assert not transport.session.trust_env


@pytest.mark.parametrize("url", ["https://evil.example/keys", "https://kv-prod.vault.azure.net@evil.example/keys"])
def test_another_host_is_refused_without_opening_the_transport(url):
    transport = GuardedTransport(WAY)
    with pytest.raises(AddressRefused):
        transport.send(HttpRequest("GET", url))


class Line:
    """A connection on which these answers come in turn."""

    def __init__(self, *bodies):
        self._bodies = list(bodies)

    def exchange(self, _request):
        """Answer one request."""
        kind, body = self._bodies.pop(0)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body, ""


PAGE = ("text/html", b"<html>")
EMPTY = ("application/json", b'{"value": [], "nextLink": null}')


@pytest.mark.parametrize(
    ("bodies", "connections"), [((EMPTY, EMPTY), 1), ((PAGE, EMPTY), 2)], ids=["own", "page first"]
)
def test_a_connection_that_gave_no_answer_of_the_vault_is_not_used_again(bodies, connections, monkeypatch):
    """What else comes on it would be taken for the answer to the next request."""
    line, opened = Line(*bodies), []

    def connect(connection):
        opened.append(connection)
        connection.sock, connection.is_verified = FakeSocket(line), True

    monkeypatch.setattr(HTTPSConnection, "connect", connect)
    with GuardedTransport(WAY) as transport:
        for kind, _body in bodies:
            expected = contextlib.nullcontext() if kind == "application/json" else pytest.raises(UnknownAnswer)
            with expected:
                transport.send(HttpRequest("GET", f"https://{VAULT}/keys/k/versions"))
    assert len(opened) == connections
