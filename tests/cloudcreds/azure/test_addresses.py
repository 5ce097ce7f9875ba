"""Addresses that may get a secret or a token: an allow-list, and each way around it refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudcreds.azure.addresses import check_custom_url, check_vault_url, clean_endpoint, vault_name
from cloudcreds.choices import CloudName
from kmes.core.errors import InputError

OPEN = {"custom_allowed": True, "custom_hosts": ["127.0.0.1", "localhost"]}
SHUT = {"custom_allowed": False, "custom_hosts": []}


@pytest.mark.parametrize(
    ("cloud", "text", "url"),
    [
        (CloudName.PUBLIC, "kv-prod", "https://kv-prod.vault.azure.net"),
        (CloudName.PUBLIC, "  https://KV-Prod.vault.azure.net/ ", "https://kv-prod.vault.azure.net"),
        (CloudName.US_GOVERNMENT, "kv-prod", "https://kv-prod.vault.usgovcloudapi.net"),
        (CloudName.CHINA, "https://kv-prod.vault.azure.cn", "https://kv-prod.vault.azure.cn"),
    ],
)
def test_a_name_or_the_url_of_a_vault_is_understood(cloud, text, url):
    assert check_vault_url(text, cloud=cloud, **SHUT) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ab",
        "a" * 25,
        "1kv",
        "kv--x",
        "kv-",
        "http://kv-prod.vault.azure.net",
        "https://kv-prod.vault.azure.net:444",
        "https://kv-prod.vault.azure.net/keys",
        "https://kv-prod.vault.azure.net?x=1",
        "https://kv-prod.vault.azure.net#x",
        "https://user@kv-prod.vault.azure.net",
        "https://kv-prod.vault.azure.net@evil.example",
        "https://evil.example/kv-prod.vault.azure.net",
        "https://kv-prod.vault.azure.net.evil.example",
        "https://kv-prod.vault.azure.net.",
        "https://a.b.vault.azure.net",
        "https://kv-prod.vault.azure.cn",
        "https://169.254.169.254",
        "https://[::1]",
        "https://kv‑prod.vault.azure.net",
        "https://xn--kv.vault.azure.net",
        "kv-prod\r\nHost: evil",
        "kv prod",
        "kv-prød",
    ],
)
def test_whatever_else_is_refused(text):
    with pytest.raises(InputError) as refused:
        check_vault_url(text, cloud=CloudName.PUBLIC, **SHUT)
    assert refused.value.field == "vault"


@given(st.text(max_size=60))
def test_no_text_ever_leads_out_of_the_cloud(text):
    try:
        url = check_vault_url(text, cloud=CloudName.PUBLIC, **SHUT)
    except InputError:
        return
    host = url.removeprefix("https://")
    assert host.endswith(".vault.azure.net")
    assert host.count(".") == 3
    assert host.isascii()


def test_custom_endpoints_take_the_installations_leave():
    assert check_custom_url("https://127.0.0.1:8443/", field="arm_url", **OPEN) == "https://127.0.0.1:8443"
    with pytest.raises(InputError):
        check_custom_url("https://127.0.0.1:8443", field="arm_url", **SHUT)


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8443",
        "https://10.0.0.1",
        "https://127.0.0.1:8443/path",
        "https://u@127.0.0.1",
        "https://127.0.0.1:0",
        "https://127.0.0.1:99999",
        "https://127.0.0.1.evil.example",
        "ftp://127.0.0.1",
    ],
)
def test_other_custom_addresses_are_refused(text):
    with pytest.raises(InputError):
        check_custom_url(text, field="arm_url", **OPEN)


def test_a_vault_is_shown_by_its_name():
    assert vault_name("https://kv-a.vault.azure.net") == "kv-a"
    assert vault_name("https://127.0.0.1:8443") == "127.0.0.1:8443"


def test_a_custom_endpoint_needs_the_installations_leave(settings: object) -> None:
    settings.KMES_ALLOW_CUSTOM_ENDPOINTS = False  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="switched off") as caught:
        clean_endpoint("https://127.0.0.1:8443", field="arm_url")
    assert caught.value.field == "cloud"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "missing"),
        ("http://127.0.0.1:8443", "begin with https"),
        ("127.0.0.1:8443", "begin with https"),
        ("javascript:alert(1)", "begin with https"),
        ("https://evil.example", "not allowed"),
        ("https://127.0.0.1.evil.example", "not allowed"),
        ("https://127.0.0.1@evil.example", "not the address"),
        ("https://me:pw@127.0.0.1:8443", "not the address"),
        ("https://evil.example\\@127.0.0.1", "not the address"),
        ("https://127.0.0.1:99999", "begin with https|not the address"),
        ("https://127.0.0.1:0", "not the address"),
        ("https://127.0.0.1:8443?x=1", "not the address"),
        ("https://127.0.0.1:8443#x", "not the address"),
        ("https://127.0.0.1:84 43", "begin with https|not the address"),
        ("https://127.0.0.1/" + "x" * 250, "longer than 255"),
    ],
)
def test_a_custom_endpoint_is_https_on_an_allowed_host(settings: object, url: str, said: str) -> None:
    settings.KMES_ALLOW_CUSTOM_ENDPOINTS = True  # type: ignore[attr-defined]
    settings.KMES_CUSTOM_HOSTS = ["127.0.0.1", "localhost"]  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=said):
        clean_endpoint(url, field="authority_url")


def test_a_good_custom_endpoint_is_kept_without_its_last_slash(settings: object) -> None:
    settings.KMES_ALLOW_CUSTOM_ENDPOINTS = True  # type: ignore[attr-defined]
    settings.KMES_CUSTOM_HOSTS = ["127.0.0.1", "LocalHost"]  # type: ignore[attr-defined]
    assert clean_endpoint(" https://localhost:8443/ ", field="arm_url") == "https://localhost:8443"
