"""Where a secret may be sent: an allow-list, and every clever way around it refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudcreds.azure.vault_urls import check_custom_url, check_vault_url, same_host, vault_name
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


def test_an_answer_about_another_vault_is_noticed():
    asked = "https://kv-a.vault.azure.net"
    assert same_host("https://kv-a.vault.azure.net/keys/k/1", asked)
    assert same_host("https://kv-a.vault.azure.net:443/keys/k/1", asked)
    assert not same_host("https://kv-b.vault.azure.net/keys/k/1", asked)
    assert not same_host("http://kv-a.vault.azure.net/keys/k/1", asked)


def test_a_vault_is_shown_by_its_name():
    assert vault_name("https://kv-a.vault.azure.net") == "kv-a"
    assert vault_name("https://127.0.0.1:8443") == "127.0.0.1:8443"
