"""Company sign-on goes through the company's proxy and trusts its authorities, as the cloud worker does."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import weakref

import pytest
from django.test import Client

from kmes.accounts.company_sign_on import documents, transport
from kmes.accounts.company_sign_on.errors import ProviderUnreachable
from logging_reports.models import LogEntry
from tests.accounts.sign_on_pages import begin, is_in, provider, running, sign_in
from tests.faults.relay.certificates import Authority
from tests.faults.relay.proxy import Policy, Proxy

__all__ = ["provider", "running"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def through(running, provider, monkeypatch):
    """Put a proxy between the console and the provider."""
    opened = []

    def make(login="", **policy):
        proxy = Proxy(Policy(login=login, **policy), ca_file=running[1])
        opened.append(proxy)
        scheme, _, rest = proxy.url.partition("//")
        monkeypatch.setenv("https_proxy", f"{scheme}//{login}@{rest}" if login else proxy.url)
        for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)
        documents.forget()
        return proxy

    yield make
    for proxy in opened:
        proxy.close()


@pytest.mark.parametrize("login", ["", "ada:s3cret"])
def test_a_sign_in_goes_through_the_proxy(through, provider, login):
    proxy = through(login)
    assert is_in(sign_in(provider)[0])
    # Metadata, token and keys.
    assert proxy.connects == [(provider.issuer.removeprefix("https://"), 200)] * 3


@pytest.mark.parametrize("setting", ["KMES_CA_FILE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_an_inspecting_proxy_is_trusted_by_the_same_settings(
    through, provider, tmp_path, settings, monkeypatch, setting
):
    inspector = Authority.make(tmp_path / "inspector", "Contoso Inspection CA")
    through(inspects=inspector)
    settings.KMES_CA_FILE = ""
    assert Client().get("/login/company/").status_code == 503
    if setting == "KMES_CA_FILE":
        settings.KMES_CA_FILE = str(inspector.ca_file)
    else:
        monkeypatch.setenv(setting, str(inspector.ca_file))
    documents.forget()
    assert is_in(sign_in(provider)[0])


def test_a_proxy_that_refuses_is_named_and_its_password_is_not(through, provider, monkeypatch):
    proxy = through("ada:s3cret")
    proxy.policy.login = "another"
    assert Client().get("/login/company/").status_code == 503
    told = " ".join(LogEntry.objects.values_list("message", flat=True))
    assert "407" in told
    assert "s3cret" not in told


def test_a_refused_tunnel_is_closed_while_its_error_is_kept(monkeypatch):
    heard = []

    def refuse():
        with contextlib.suppress(TimeoutError), listener.accept()[0] as connection:
            connection.settimeout(20)
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            heard.append(connection.recv(1))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(ProviderUnreachable) as refused:
            transport.get_json("https://idp.example/")
        thread.join()
    assert "407" in refused.value.detail
    assert heard == [b""]


def test_a_failure_is_remembered_in_words_and_holds_nothing_else(provider):
    provider.status = 503
    with pytest.raises(ProviderUnreachable) as refused:
        documents.read_metadata(provider.issuer)
    error, detail = weakref.ref(refused.value), refused.value.detail
    del refused
    gc.collect()
    assert error() is None
    with pytest.raises(ProviderUnreachable) as again:
        documents.read_metadata(provider.issuer)
    assert again.value.detail == detail
    assert len(provider.asked) == 1


def test_hosts_of_no_proxy_are_reached_directly(through, provider, monkeypatch):
    proxy = through()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    begin(Client())
    assert proxy.connects == []


@pytest.mark.parametrize("named", ["https://proxy.example:3128", "socks5://proxy.example", "http://[::1"])
def test_a_proxy_that_can_t_be_used_is_said_in_words(monkeypatch, named):
    monkeypatch.setenv("https_proxy", named)
    with pytest.raises(ProviderUnreachable) as refused:
        transport.proxy_for("idp.example")
    assert "HTTPS_PROXY" in refused.value.detail
