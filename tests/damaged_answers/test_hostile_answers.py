"""A hostile or broken vault: it gets neither token nor secret to another host, nor a key wrapped under a weak KEK."""

from __future__ import annotations

import base64
import json

import pytest
from django.urls import reverse

from cloudcreds.destinations import sign_new_vault
from cloudcreds.models import KeyVault
from jobs.kinds.list_vaults.spec import request_vault_list
from tests.damaged_answers.harness import ALL, KEKS, KEY, VERSIONS
from tests.damaged_answers.test_what_libraries_say import assert_no_secret, everything_written
from tests.faults.relay.calls import Part
from tests.faults.relay.damages import JSON_TYPE, Damage, When, edited, envelope
from tests.faults.relay.rules import Rule
from tests.faults.relay.server import Relay
from tests.jobs.conftest import SECRET

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


@pytest.fixture
def attacker(relay, azure_stand_in):
    """Another host, with a certificate that is trusted; it answers like the stand-in and notes what it gets.

    It is reached as ``localhost``, which no credential here names.
    """
    ports = {azure_stand_in.port: "127.0.0.1"}
    with Relay(relay._authority, ports, ca_file=azure_stand_in.ca_file) as host:
        host.url = host.url_for(azure_stand_in.url).replace("127.0.0.1", "localhost")
        yield host


def assert_nothing_given_away(attacker):
    for seen in attacker.seen:
        assert not seen.call.header("Authorization"), "the token was sent to another host"
        assert SECRET.encode() not in seen.call.body, "the client secret was sent to another host"


@pytest.mark.parametrize("listing", ["versions", "subscriptions", "vaults"])
def test_a_next_link_to_another_host_is_not_followed(world, attacker, credential, listing):
    link = f"{attacker.url}/keys/payments/versions?api-version=7.6"
    change = edited(lambda _call, value: {**value, "nextLink": link})
    if listing == "versions":
        world.push_one()
        world.damage(change, "GET", VERSIONS, count=None)
        job = world.compare()
    else:
        path = "/subscriptions" if listing == "subscriptions" else "/subscriptions/*/vaults"
        world.damage(change, "GET", path, count=None)
        job = request_vault_list(credential=credential, actor=world.actor)
        world.work(job)
    assert_nothing_given_away(attacker)
    assert attacker.seen == []
    assert job.state != "succeeded", "the rest of the list was dropped without a word"


def test_a_discovered_token_endpoint_on_another_host_is_not_used(world, attacker):
    def change(_call, value):
        return {**value, "token_endpoint": value["token_endpoint"].replace(_origin(value), attacker.url)}

    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage_sign_in(edited(change), part=Part.DISCOVERY, count=None)
    world.work(job)
    assert_nothing_given_away(attacker)
    assert attacker.seen == []
    assert job.state != "succeeded"


def _origin(value):
    return "/".join(value["token_endpoint"].split("/")[:3])


@pytest.mark.parametrize(
    "shape", ["{url}", "https://127.0.0.1:1@{host}", "https://{host}/#127.0.0.1", "http://127.0.0.1"]
)
def test_a_vault_address_in_a_listing_is_checked(world, attacker, credential, shape):
    address = shape.format(url=attacker.url, host=attacker.url.removeprefix("https://").replace("localhost", "evil.example"))  # fmt: skip
    if shape == "{url}":
        address = "https://evil.example/"

    def change(_call, value):
        for row in value["value"]:
            row["properties"]["vaultUri"] = address
        return value

    world.damage(edited(change), "GET", "/subscriptions/*/vaults", count=None)
    job = request_vault_list(credential=credential, actor=world.actor)
    world.work(job)
    assert not KeyVault.objects.filter(url__contains="evil").exists()
    assert not KeyVault.objects.filter(url__startswith="http://").exists()
    assert attacker.seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308] if ALL else [302, 308])
@pytest.mark.parametrize("part", [Part.TOKEN, Part.DISCOVERY, Part.MANAGER, Part.VAULT])
def test_no_redirect_is_followed(world, attacker, credential, status, part):
    (key,) = world.make_keys("one")
    world.sign_out()
    elsewhere = Damage(when=When.BEFORE, status=status, body=b"", headers={"Location": f"{attacker.url}/x"})
    world.relay.add(Rule(elsewhere, part=part, count=None, probes=True))
    world.work(
        request_vault_list(credential=credential, actor=world.actor) if part == Part.MANAGER else world.push(key)
    )
    assert attacker.seen == []


def test_a_vault_outside_the_allow_list_gets_no_token(world, attacker, settings):
    """Also where the row says so, and is signed: what a form refuses is refused where it is used."""
    settings.KMES_CUSTOM_HOSTS = ["127.0.0.1"]
    (key,) = world.make_keys("one")
    vault = world.group.vault
    vault.url = attacker.url
    vault.save()
    sign_new_vault(vault)
    job = world.push(key)
    world.work(job)
    assert attacker.seen == []
    assert job.state != "succeeded"


# --- 11: what was asked is held against what came back ------------------------------------------
def _number(bits):
    return base64.urlsafe_b64encode((1 << (bits - 1) | 1).to_bytes(bits // 8, "big")).rstrip(b"=").decode()


def with_key(members):
    """Change the key of an answer that has one; an error that says a key is gone stays as it is."""
    return lambda _call, value: {**value, "key": {**value["key"], **members}} if "key" in value else value


@pytest.mark.parametrize(
    "members",
    [
        {"n": _number(1024)},
        {"n": _number(2048)},
        {"kty": "RSA"},
        {"key_ops": ["import", "decrypt"]},
        {"key_ops": ["sign"]},
        {"e": "AQ"},
        {"kty": "EC-HSM", "crv": "P-256", "x": "AQAB", "y": "AQAB"},
        {"kid": "https://evil.example/keys/kmes-kek-x/" + "0" * 32},
    ],
    ids=lambda members: next(iter(members)) + " " + str(next(iter(members.values())))[:12],
)
def test_a_kek_that_is_not_what_was_asked_for_gets_no_key(world, members):
    (key,) = world.make_keys("one")
    change = edited(with_key(members))
    world.damage(change, "POST", KEKS + "/create", count=None)
    world.damage(change, "GET", KEKS + "*", count=None)
    job = world.push(key)
    world.work(job)
    world.rest(job)
    assert world.relay.calls("PUT", KEY) == []
    assert job.state == "failed"
    assert "unexpected error" not in world.words(job).lower()


@pytest.mark.parametrize("members", [{"n": ""}, {"n": "AA"}, {"n": "AQ", "e": ""}], ids=["no modulus", "zero", "one"])
def test_a_kek_without_a_modulus_does_not_crash_the_worker(world, members):
    """In a process of its own: a PKCS#11 library that is handed such a key takes its process with it."""
    (key,) = world.make_keys("one")
    change = edited(with_key(members))
    world.damage(change, "POST", KEKS + "/create", count=None)
    world.damage(change, "GET", KEKS + "*", count=None)
    job = world.push(key)
    assert world.work_elsewhere(job, "") == 0, "the worker crashed"
    job.refresh_from_db()
    assert job.state == "failed"
    assert world.relay.calls("PUT", KEY) == []


def test_a_kek_that_expires_later_or_never_is_refused_or_discarded(world):
    (key,) = world.make_keys("one")

    def change(_call, value):
        del value["attributes"]["exp"]
        return value

    world.damage(edited(change), "POST", KEKS + "/create", count=None)
    job = world.push(key)
    world.work(job)
    world.rest(job)
    assert world.vault.keks() == []


@pytest.mark.parametrize("member", ["x", "crv", "kid"])
def test_an_import_whose_answer_is_another_key_is_no_success(world, member):
    other = {"x": "AQAB", "crv": "P-384", "kid": "https://127.0.0.1:1/keys/other/" + "0" * 32}[member]
    (key,) = world.make_keys("one")
    world.damage(edited(with_key({member: other})), "PUT", KEY)
    job = world.push(key)
    world.work(job)
    assert job.state != "succeeded"
    assert "unexpected error" not in world.words(job).lower()


# --- 12: texts ----------------------------------------------------------------------------------
def test_line_breaks_in_an_error_forge_no_lines(world, pages):
    code = "Forbidden\n2026-01-01 00:00:00 INFO Successfully synchronized\r\n\x1b[2J\u2028end"
    (key,) = world.make_keys("one")
    world.damage(envelope(400, code, code), "PUT", KEY, count=None)
    job = world.push(key)
    world.work(job)
    text = pages.get(reverse("jobs:log", args=[job.code])).content.decode()
    assert not any(line.startswith("2026-01-01 00:00:00 INFO") for line in text.splitlines())
    assert "\x1b" not in text
    for line in everything_written(world).splitlines():
        assert not line.startswith("2026-01-01 00:00:00 INFO")


@pytest.mark.parametrize("part", [Part.TOKEN, Part.VAULT, Part.MANAGER])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500] if ALL else [400, 403, 500])
def test_a_secret_echoed_in_an_error_is_shown_nowhere(world, credential, part, status):
    (key,) = world.make_keys("one")
    quoted = f"Bad request: client_secret={SECRET}&x=1"
    if part == Part.TOKEN:
        body = {"error": "invalid_client", "error_description": f"AADSTS7000215: {quoted}", "error_codes": [7000215]}
    else:
        body = {"error": {"code": SECRET, "message": quoted}}
    damage = Damage(when=When.BEFORE, status=status, body=json.dumps(body).encode(), content_type=JSON_TYPE)
    world.damage_sign_in(damage, part=part, count=None)
    job = request_vault_list(credential=credential, actor=world.actor) if part == Part.MANAGER else world.push(key)
    world.patch.setattr("cloudcreds.provider.backoff.PAUSES", (0.01,))
    world.work(job)
    assert_no_secret(world)
