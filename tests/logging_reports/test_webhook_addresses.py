"""Where a webhook may lead: public hosts over https, by a certificate of the host's name."""

from __future__ import annotations

import socket

import pytest

from kmes.core.errors import InputError
from logging_reports.models import Delivery
from logging_reports.notices import deliveries, webhook_addresses
from tests.logging_reports.certificates import serve_tls
from tests.logging_reports.notice_sending import (
    development_settings,
    fail_job,
    make_due,
    make_webhook,
)

__all__ = ["development_settings"]
pytestmark = pytest.mark.django_db(transaction=True)


# --- Addresses -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.0.0.7/",
        "https://192.168.1.1:8443/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://[::ffff:10.0.0.7]/",
        "https://[64:ff9b::a00:7]/",
        "https://[2002:a00:7::]/",
        "https://0.0.0.0/",
        "https://192.0.0.192/opc/v2/",
        "https://192.88.99.1/",
        "https://168.63.129.16/",
        "https://100.100.100.200/",
        "https://100.64.0.1/",
        "https://198.18.0.1/",
        "https://[::7f00:1]/",
        "https://[::ffff:0:7f00:1]/",
        "https://[64:ff9b:1::7f00:1]/",
        "https://[fec0::1]/",
        "https://[fd00:ec2::254]/",
        "https://[100::1]/",
        "https://[2001::1]/",
        "https://[2001:db8::1]/",
        "https://[3fff::1]/",
        "https://[5f00::1]/",
        "https://[4000::1]/",
        "https://[2a00:1450::5efe:7f00:1]/",
        "https://[2a00:1450::200:5efe:a00:7]/",
        "https://224.0.0.1/",
        "http://example.com/",
        "ftp://example.com/",
        "https://user:pass@example.com/",
        "https://example.com/#x",
        "https://example.com:99999/",
        "https://",
        "//example.com/",
        "https://exa mple.com/",
        "https://exämple.com/",
        "https://example.com/\r\nX-A: b",
    ],
)
def test_a_url_that_leads_inside_or_is_none_is_refused(url, settings):
    settings.KMES_WEBHOOK_ALLOW_HTTP = False
    with pytest.raises(InputError):
        webhook_addresses.parse(url)


@pytest.mark.parametrize(
    "host",
    [
        *("192.0.0.192", "168.63.129.16", "100.100.100.200", "169.254.169.254"),
        *("[fd00:ec2::254]", "[fd00:ec2::23]", "[fd20:ce::254]", "[fd00:c1::a9fe:a9fe]"),
        *("[fd00:100::100:200]", "[fd00:42::42]", "[fd00:a9fe:a9fe::1]"),
    ],
)
def test_no_setting_allows_the_services_of_a_cloud_for_its_own_machines(host, settings):
    settings.KMES_WEBHOOK_PRIVATE_HOSTS = [host.strip("[]")]
    with pytest.raises(InputError):
        webhook_addresses.parse(f"https://{host}/")


def test_public_addresses_of_either_kind_are_taken():
    for host in ("8.8.8.8", "[2a00:1450:4001:81a::200e]", "[2606:4700:4700::1111]", "[64:ff9b::808:808]"):
        assert webhook_addresses.parse(f"https://{host}/").port == 443


@pytest.mark.parametrize("url", ["https://example.com", "https://93.184.216.34/x?y=1", "https://example.com:8443/a"])
def test_a_public_https_url_is_taken(url):
    assert webhook_addresses.parse(url).scheme == "https"


@pytest.mark.parametrize("address", ["10.1.2.3", "fd00::1", "169.254.169.254", "127.0.0.1", "::1"])
def test_a_host_that_turns_out_to_lie_inside_is_refused_when_something_is_sent(address, settings, monkeypatch):
    settings.KMES_WEBHOOK_ALLOW_HTTP = False
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    answers = [(socket.AF_INET, 1, 6, "", ("93.184.216.34", 443)), (family, 1, 6, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_named: answers)
    make_webhook("https://inside.example.com/")
    fail_job()
    deliveries.deliver_due()
    delivery = Delivery.objects.get()
    assert delivery.state == "failed"
    assert address in delivery.last_answer


def test_a_named_private_host_is_allowed_but_never_a_link_local_address(settings):
    settings.KMES_WEBHOOK_PRIVATE_HOSTS = ["alerts.corp", "10.1.2.3", "169.254.169.254"]
    assert webhook_addresses.parse("https://10.1.2.3/").host == "10.1.2.3"
    for url in ("https://169.254.169.254/", "https://10.1.2.4/"):
        with pytest.raises(InputError):
            webhook_addresses.parse(url)


def test_a_host_nobody_knows_is_tried_again(settings):
    make_webhook("https://nowhere.invalid/")
    fail_job()
    deliveries.deliver_due()
    assert Delivery.objects.get().state == "waiting"


# --- TLS -------------------------------------------------------------------------------------
def test_https_checks_the_receivers_certificate_by_name(settings, tmp_path):
    with serve_tls(tmp_path, "localhost") as (port, ca_file, received):
        make_webhook(f"https://localhost:{port}/")
        fail_job()
        deliveries.deliver_due()
        assert received == []
        assert "certificate" in Delivery.objects.get().last_answer.lower()
        settings.KMES_WEBHOOK_CA_FILE = str(ca_file)
        make_due()
        deliveries.deliver_due()
        assert len(received) == 1
    assert Delivery.objects.get().state == "delivered"


def test_a_certificate_for_another_name_is_refused(settings, tmp_path):
    with serve_tls(tmp_path, "other.example.com") as (port, ca_file, received):
        settings.KMES_WEBHOOK_CA_FILE = str(ca_file)
        make_webhook(f"https://localhost:{port}/")
        fail_job()
        deliveries.deliver_due()
        assert received == []
