"""The proxy tunnels, inspects, asks for a login and refuses, as a plain client meets it."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from urllib.parse import urlsplit

import pytest

from tests.faults.relay.certificates import Authority
from tests.faults.relay.damages import HTML, page
from tests.faults.relay.proxy import Policy, Proxy
from tests.faults.relay.rules import Rule


def ask(proxy, authority, host, port, headers=None):
    """Ask through the proxy; ``authority`` is whom the client trusts."""
    parts = urlsplit(proxy.url)
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=context, timeout=5)
    connection.set_tunnel(host, port, headers or {})
    try:
        connection.request("GET", "/keys/one", headers={"Authorization": "Bearer x"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.fixture
def open_proxy(authority):
    opened = []

    def make(**policy):
        opened.append(Proxy(Policy(**policy), ca_file=authority.ca_file))
        return opened[-1]

    yield make
    for proxy in opened:
        proxy.close()


@pytest.fixture
def inspector(tmp_path):
    return Authority.make(tmp_path / "inspector", "Inspection CA")


def test_a_plain_proxy_looks_into_nothing(open_proxy, service, authority):
    proxy = open_proxy()
    status, body = ask(proxy, authority, "127.0.0.1", service.port)
    assert (status, json.loads(body)["path"]) == (200, "/keys/one")
    assert proxy.connects == [(f"127.0.0.1:{service.port}", 200)]
    assert proxy.desk.seen == []


def test_an_inspecting_proxy_shows_its_own_certificate(open_proxy, service, authority, inspector):
    proxy = open_proxy(inspects=inspector)
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(proxy, authority, "127.0.0.1", service.port)
    assert ask(proxy, inspector, "127.0.0.1", service.port)[0] == 200
    assert [seen.call.path for seen in proxy.desk.seen] == ["/keys/one"]
    proxy.add(Rule(page(403)))
    assert ask(proxy, inspector, "127.0.0.1", service.port) == (403, HTML)


def test_names_are_served_where_the_policy_says(open_proxy, service, authority, inspector):
    names = {"kv-premium.vault.azure.net": ("127.0.0.1", service.port)}
    proxy = open_proxy(inspects=inspector, aliases=names)
    assert ask(proxy, inspector, "kv-premium.vault.azure.net", 443)[0] == 200


def test_an_authenticating_proxy_asks_for_its_login(open_proxy, service, authority):
    proxy = open_proxy(login="ada:secret")
    with pytest.raises(OSError, match="407"):
        ask(proxy, authority, "127.0.0.1", service.port)
    login = base64.b64encode(b"ada:secret").decode()
    assert ask(proxy, authority, "127.0.0.1", service.port, {"Proxy-Authorization": f"Basic {login}"})[0] == 200
    assert [status for _target, status in proxy.connects] == [407, 200]


def test_a_refusing_proxy_answers_with_a_page(open_proxy, service, authority):
    proxy = open_proxy(refused={"127.0.0.1"})
    with pytest.raises(OSError, match="403"):
        ask(proxy, authority, "127.0.0.1", service.port)
    assert service.done == []
