"""Managed identities: the metadata service over plain HTTP, and App Service's endpoint, as the stand-in plays them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from azure.core.pipeline.transport import HttpRequest

from cloudcreds.azure.answers import AddressRefused, AskedService, SignInPlace
from cloudcreds.azure.clouds import endpoints_of
from cloudcreds.azure.transport import GuardedTransport, Way
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.proofs import HostIdentity
from kmes.core import known_secrets
from tests.cloudcreds.azure.conftest import CLIENT

USER = "55555555-5555-5555-5555-555555555555"
METADATA = "http://169.254.169.254/metadata/identity/oauth2/token"


@pytest.fixture
def host(azure, monkeypatch):
    """A host in Azure with an identity of its own and one that was assigned to it."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"):
        monkeypatch.delenv(name, raising=False)
    azure.stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "managed_identity": "system"})
    azure.stand_in.control("POST", "/_emulator/clients", {"client_id": USER, "managed_identity": "user"})
    return azure


def asked_for_tokens(azure):
    return [entry for entry in azure.asked("GET", "token") if "identity" in entry["path"] or "msi" in entry["path"]]


@pytest.mark.parametrize("client_id", ["", USER])
def test_the_host_signs_in_without_any_secret(client_id, host):
    gateway = host.gateway(proof=HostIdentity(), client_id=client_id)
    gateway.get_token()
    assert gateway.list_versions("k") == []
    assert gateway.list_vaults().vaults


def test_a_token_is_kept_for_the_jobs_that_follow(host):
    for _ in range(3):
        host.gateway(proof=HostIdentity(), client_id="").get_token()
    assert len(asked_for_tokens(host)) == 1


def test_the_header_of_app_service_proves_the_caller_and_is_masked(host, monkeypatch):
    header = host.stand_in.control("GET", "/_emulator/settings")["identity_header"]
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{host.stand_in.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", header)
    host.gateway(proof=HostIdentity(), client_id="").get_token()
    assert [entry["path"] for entry in asked_for_tokens(host)] == ["/msi/token"]
    assert known_secrets.mask(header) == "***"


def test_an_identity_that_the_host_does_not_know_is_named_and_asked_for_again(host):
    missing = "77777777-7777-7777-7777-777777777777"
    with pytest.raises(CloudError) as refusal:
        host.gateway(proof=HostIdentity(), client_id=missing).get_token()
    assert (refusal.value.kind, refusal.value.retryable) == (CloudErrorKind.UNKNOWN_IDENTITY, True)
    assert missing in refusal.value.what
    host.stand_in.control("POST", "/_emulator/clients", {"client_id": missing, "managed_identity": "user"})
    host.gateway(proof=HostIdentity(), client_id=missing).get_token()


def test_what_entra_says_through_the_host_is_told_as_that(host, monkeypatch):
    monkeypatch.setattr(
        "cloudcreds.azure.gateway.endpoints_of",
        lambda access: replace(endpoints_of(access), vault_scope="https://nowhere.example.invalid/.default"),
    )
    with pytest.raises(CloudError) as refusal:
        host.gateway(proof=HostIdentity(), client_id="").get_token()
    assert refusal.value.kind == CloudErrorKind.AUTHENTICATION
    assert "AADSTS500011" in refusal.value.what


@pytest.mark.parametrize("status", [404, 410, 429, 500, 503])
def test_an_endpoint_that_is_being_updated_is_asked_again(status, host):
    host.fault(part="identity", status=status, count=1)
    host.gateway(proof=HostIdentity(), client_id="", budget=30).get_token()


def test_a_host_outside_azure_is_told_so_and_tried_again(host, settings):
    settings.KMES_METADATA_URL = "http://127.0.0.1:9"
    with pytest.raises(CloudError) as refusal:
        host.gateway(proof=HostIdentity(), client_id="").get_token()
    assert (refusal.value.kind, refusal.value.retryable) == (CloudErrorKind.SIGN_IN_UNAVAILABLE, True)
    assert "127.0.0.1:9" in refusal.value.what
    assert "hosts in Azure" in refusal.value.remedy


def test_no_proxy_stands_between_the_worker_and_its_host(host, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    host.gateway(proof=HostIdentity(), client_id="").get_token()


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/metadata/instance",
        "http://169.254.169.254/metadata/identity/oauth2/token/",
        "http://169.254.169.254:80/metadata/identity/oauth2/token",
        "http://169.254.169.253/metadata/identity/oauth2/token",
        "https://169.254.169.254/metadata/identity/oauth2/token",
        "http://a@169.254.169.254/metadata/identity/oauth2/token",
    ],
)
def test_only_the_one_address_is_asked(url, host):
    way = Way(AskedService.MANAGED_IDENTITY, frozenset({METADATA}), SignInPlace(frozenset(), "", ""), "public")
    assert way.allows(f"{METADATA}?api-version=1")
    with pytest.raises(AddressRefused), GuardedTransport(way) as transport:
        transport.send(HttpRequest("GET", url))


@pytest.mark.parametrize(
    "environment",
    [
        {"IDENTITY_ENDPOINT": "http://localhost:40342/metadata/identity/oauth2/token"},
        {
            "IDENTITY_ENDPOINT": "http://10.0.0.4:2377/token",
            "IDENTITY_HEADER": "x" * 32,
            "IDENTITY_SERVER_THUMBPRINT": "A",
        },
        {"IDENTITY_ENDPOINT": "http://user@localhost/msi/token", "IDENTITY_HEADER": "x" * 32},
    ],
    ids=["Azure Arc", "Service Fabric", "user name"],
)
def test_other_platforms_are_refused_before_anything_is_sent(environment, host, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CloudError) as refusal:
        host.gateway(proof=HostIdentity(), client_id="").get_token()
    assert refusal.value.kind == CloudErrorKind.NO_MANAGED_IDENTITY
    assert asked_for_tokens(host) == []
