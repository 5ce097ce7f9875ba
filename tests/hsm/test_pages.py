"""Pages of Administration: what is shown of a device, and designating the one that may push."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hsm.models import HsmDevice, WorkerSighting
from hsm.services import record_worker
from kmes.core.clock import now
from logging_reports.models import LogEntry
from tests.people import FRAGMENT, ROLES, body, pages, people, static_root

__all__ = ["pages", "people", "static_root"]
pytestmark = pytest.mark.django_db


def make_device(serial="S-1", *, pmk="A1B2C3", **values) -> HsmDevice:
    values.setdefault("label", "KMES")
    return HsmDevice.objects.create(
        serial=serial,
        manufacturer="SoftHSM project",
        model="SoftHSM v2",
        firmware="2.6",
        mfk_public_spki=b"x",
        pmk_kcv=pmk,
        mfk_kcv="D4E5F6",
        mechanisms=["AES_KEY_WRAP_PAD", "RSA_PKCS_OAEP"],
        **values,
    )


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("path", ["device", "configuration"])
def test_each_role_reads_the_pages_and_strangers_none(client, people, role, path):
    assert client.get(f"/administration/{path}/").status_code == 302
    make_device(is_designated=True)
    client.force_login(people[role])
    answer = client.get(f"/administration/{path}/")
    assert answer.status_code == 200
    assert "S-1" in body(answer)


@pytest.mark.parametrize("path", ["device", "configuration"])
def test_without_a_device_the_pages_say_what_to_do(pages, path):
    page = body(pages.get(f"/administration/{path}/"))
    assert "No device is registered" in page
    assert "hsm_init" in page
    assert "Run self-test" not in page


def test_a_device_no_worker_reports_is_shown_as_not_connected(pages):
    make_device(is_designated=True, last_seen_at=now() - timedelta(hours=1))
    page = body(pages.get("/administration/device/"))
    assert "No worker reaches this device" in page
    assert "empty-link" in page
    assert "/logs/?service=device" in page


def test_the_device_shows_identity_major_keys_and_mechanisms(pages):
    make_device(is_designated=True, last_seen_at=now())
    page = body(pages.get("/administration/device/"))
    assert "No worker reaches this device" not in page
    for words in ("SoftHSM project", "Designated", "PMK", "A1B2C3", "MFK", "D4E5F6", "RSA_PKCS_OAEP", "2 mechanisms"):
        assert words in page
    assert "No self-test was recorded yet" in page
    assert 'href="/jobs/start/self_test/"' in page


def test_the_device_shows_its_sentinel_and_its_workers_with_their_release(pages):
    make_device(is_designated=True, last_seen_at=now(), sentinel_hash="5e" * 32)
    record_worker(host="worker-7", state="ok", serial="S-1")
    page = body(pages.get("/administration/device/"))
    for words in ("5e" * 32, "Registered, and signs", "worker-7", "release 0.1", "Online"):
        assert words in page
    assert "worker-7" in body(pages.get("/administration/configuration/"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"availability": "device_replaced"}, "Another token is in its place"),
        ({"availability": "pin_wrong"}, "PIN refused"),
        ({"availability": "device_failed"}, "Unavailable (device_failed)"),
        ({"last_seen_at": now() - timedelta(minutes=6)}, "Not seen lately"),
        ({"last_seen_at": None}, "Not seen lately"),
    ],
)
def test_a_device_that_does_not_serve_says_why(pages, values, words):
    make_device(is_designated=True, **{"last_seen_at": now(), **values})
    for path in ("device", "configuration"):
        assert words in body(pages.get(f"/administration/{path}/"))


def test_a_worker_that_lost_its_device_is_still_listed_with_it_and_old_hosts_are_forgotten(pages):
    make_device(is_designated=True)
    record_worker(host="gone", state="ok", serial="S-1")
    WorkerSighting.objects.update(seen_at=now() - timedelta(days=8))
    record_worker(host="here", state="ok", serial="S-1")
    record_worker(host="here", state="pin_wrong")
    seen = WorkerSighting.objects.get()
    assert (seen.host, seen.state, str(seen.device.serial)) == ("here", "pin_wrong", "S-1")


def test_each_part_of_the_self_test_shows_with_its_time(pages):
    tested = now()
    results = [
        {"name": "AES known answer", "ok": True, "detail": "the answer is that of FIPS 197"},
        {"name": "Random numbers", "ok": False, "detail": "two draws are alike"},
    ]
    make_device(self_test=results, self_test_at=tested)
    page = body(pages.get("/administration/device/"))
    assert f"{tested:%Y-%m-%d %H:%M:%S}" in page
    for part in results:
        assert part["name"] in page
        assert part["detail"] in page
    assert page.count("badge-bad") == 2


def test_only_who_manages_devices_is_offered_actions(client, people):
    device = make_device()
    client.force_login(people["auditor"])
    assert "/jobs/start/self_test/" not in body(client.get("/administration/device/"))
    page = body(client.get("/administration/configuration/"))
    assert f"/{device.pk}/designate/" not in page
    assert "Device:Manage" in page


def test_designating_asks_first_and_moves_the_mark_with_a_log_row(pages):
    old, new = make_device("S-1", is_designated=True), make_device("S-2")
    url = f"/administration/configuration/{new.pk}/designate/"
    asked = body(pages.get(url, **FRAGMENT))
    assert "no longer may" in asked
    assert "major keys differ" not in asked
    assert "<html" not in asked
    assert HsmDevice.objects.get(is_designated=True) == old
    assert pages.post(url)["Location"] == "/administration/configuration/"
    assert HsmDevice.objects.get(is_designated=True) == new
    row = LogEntry.objects.get(event="device.designated")
    assert row.actor_name == "the-admin"
    assert "S-2" in row.message
    assert "may push key material now" in body(pages.get("/administration/configuration/"))


def test_a_device_with_other_major_keys_is_warned_of(pages):
    make_device("S-1", is_designated=True)
    other = make_device("S-2", pmk="FFFFFF")
    assert "major keys differ" in body(pages.get(f"/administration/configuration/{other.pk}/designate/"))


@pytest.mark.parametrize("role", ["custodian", "operator", "auditor"])
def test_others_may_not_designate(client, people, role):
    device = make_device()
    client.force_login(people[role])
    url = f"/administration/configuration/{device.pk}/designate/"
    assert client.get(url).status_code == 403
    assert client.post(url).status_code == 403
    assert not HsmDevice.objects.filter(is_designated=True).exists()


def test_an_unknown_or_designated_device_can_not_be_designated(pages):
    device = make_device(is_designated=True)
    assert pages.post(f"/administration/configuration/{uuid.uuid4()}/designate/").status_code == 404
    assert pages.post(f"/administration/configuration/{device.pk}/designate/").status_code == 409
    assert not LogEntry.objects.filter(event="device.designated").exists()


def test_designating_needs_the_token_of_the_form(client, people):
    device = make_device()
    strict = client.__class__(enforce_csrf_checks=True)
    strict.force_login(people["admin"])
    assert strict.post(f"/administration/configuration/{device.pk}/designate/").status_code == 403


def test_the_pages_stay_cheap(pages):
    for number in range(10):
        make_device(f"S-{number}")
    for path in ("device", "configuration"):
        with CaptureQueriesContext(connection) as queries:
            pages.get(f"/administration/{path}/")
        assert len(queries) <= 12
