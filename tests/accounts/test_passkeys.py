"""Passkeys: added, used as second factor, to sign in without a password and before dangerous acts, removed, reset."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from kmes.accounts.models import Passkey, RecoveryCode
from kmes.accounts.second_factor import checks, totp
from kmes.core.clock import now
from logging_reports.models import LogEntry
from logging_reports.notices.models import Notice
from tests.accounts import test_second_factor as apps
from tests.accounts.passkey_pages import (
    ADD,
    CONFIRM,
    NEW_OPTIONS,
    OPTIONS,
    ORIGIN,
    PAGE,
    PASSWORD,
    SIGN_IN_OPTIONS,
    STEP,
    STEP_OPTIONS,
    add_passkey,
    is_in,
    options,
    second_step,
    sign_in,
    with_password,
)
from tests.authenticator import EDDSA, ES256, RS256, Authenticator, Refused
from tests.people import body, make_people

pytestmark = pytest.mark.django_db
LONG = timedelta(minutes=6)


@pytest.fixture
def users(db):
    return make_people(password=PASSWORD)


@pytest.fixture
def clock(db):
    with time_machine.travel(now().replace(second=10, microsecond=0), tick=False) as traveller:
        yield traveller


@pytest.fixture
def key(users):
    """The passkey of an administrator who signed in with the password before."""
    key = Authenticator()
    assert add_passkey(with_password(users["admin"]), key).status_code == 200
    return key


def last_sign_in():
    return LogEntry.objects.filter(event="access.login").order_by("sequence").last()


# --- Adding ------------------------------------------------------------------------------------
def test_the_first_passkey_brings_recovery_codes_and_ends_other_sessions(users):
    here, there = with_password(users["operator"]), with_password(users["operator"])
    answer = add_passkey(here, Authenticator(), name="Blue key")
    assert len(set(re.findall(r"<li>([a-z2-9-]{29})</li>", body(answer)))) == 10
    assert (here.get("/shortcuts/").status_code, there.get("/shortcuts/").status_code) == (200, 302)
    page = body(here.get(PAGE))
    assert ("Blue key" in page, "10 of 10 left" in page) == (True, True)
    assert LogEntry.objects.get(event="user.factor_added").message == "the-operator added the passkey “Blue key”"
    assert Notice.objects.filter(event="user.factor_added", user_id=users["operator"].pk).exists()


@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
def test_passkeys_of_every_usual_kind_sign_in(users, algorithm):
    key = Authenticator(algorithm=algorithm, is_synced=algorithm == ES256)
    assert add_passkey(with_password(users["admin"]), key).status_code == 200
    assert is_in(sign_in(key)[0])


def test_a_user_has_several_which_bring_no_further_codes_and_no_device_holds_two(users, key):
    client, _answer = sign_in(key)
    with pytest.raises(Refused, match="InvalidStateError"):
        key.create(options(client, NEW_OPTIONS), origin=ORIGIN)
    other = Authenticator()
    assert add_passkey(client, other, name="Phone").url == PAGE
    assert RecoveryCode.objects.count() == 10
    assert is_in(sign_in(key)[0])
    assert is_in(sign_in(other)[0])
    assert {bytes(each.handle) for each in Passkey.objects.all()} == {key.held[0].handle}


def test_the_passkey_of_a_device_is_known_by_no_name_of_its_user(users, key):
    handle = key.held[0].handle
    assert len(handle) == 32
    assert b"admin" not in handle


def test_a_session_that_began_a_while_ago_is_asked_for_the_password(users, clock):
    client, key = with_password(users["operator"]), Authenticator()
    clock.shift(LONG)
    assert 'name="password"' in body(client.get(ADD))
    for more in ({}, {"password": "another password"}):
        made = key.create(options(client, NEW_OPTIONS), origin=ORIGIN)
        assert client.post(ADD, {"name": "Key", "passkey": made, **more}).status_code == 422
    made = key.create(options(client, NEW_OPTIONS), origin=ORIGIN)
    assert client.post(ADD, {"name": "Key", "passkey": made, "password": PASSWORD}).status_code == 200


def test_opened_by_an_address_the_page_says_that_a_name_is_needed(users, settings):
    settings.ALLOWED_HOSTS = ["192.0.2.7", "[2001:db8::7]"]
    for host in settings.ALLOWED_HOSTS:
        client = Client(headers={"host": host})
        client.post("/login/", {"username": "the-admin", "password": PASSWORD})
        assert "Passkeys need a host name" in body(client.get(ADD))
        answer = client.post(NEW_OPTIONS)
        assert (answer.status_code, "need a host name" in json.loads(body(answer))["error"]) == (409, True)
        assert client.post(ADD, {"name": "x", "passkey": "{}"}).status_code == 422


def test_an_installation_names_the_domain_and_its_hosts_share_the_passkeys(users, settings):
    settings.KMES_PASSKEY_DOMAIN = "example.com"
    settings.ALLOWED_HOSTS = ["a.example.com", "b.example.com"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://front.example.com"]
    key = Authenticator()
    first = Client(headers={"host": "a.example.com"})
    first.post("/login/", {"username": "the-admin", "password": PASSWORD}, secure=True)
    given = json.loads(body(first.post(NEW_OPTIONS, secure=True)))["publicKey"]
    assert given["rp"] == {"id": "example.com", "name": "KMES console"}
    made = key.create(given, origin="https://a.example.com")
    assert first.post(ADD, {"name": "Key", "passkey": made}, secure=True).status_code == 200
    for origin in ("https://b.example.com", "https://front.example.com"):
        other = Client(headers={"host": "b.example.com"})
        given = json.loads(body(other.post(SIGN_IN_OPTIONS, secure=True)))["publicKey"]
        answer = key.get(given, origin=origin)
        assert other.post("/login/passkey/", {"passkey": answer}, secure=True).status_code == 302


def test_opened_outside_its_domain_the_console_says_by_which_name_to_open_it(users, settings):
    settings.KMES_PASSKEY_DOMAIN = "example.com"
    answer = Client().post(SIGN_IN_OPTIONS)
    assert (answer.status_code, "for the name example.com" in json.loads(body(answer))["error"]) == (409, True)


def test_a_domain_that_is_none_stops_the_start(settings):
    for wrong in ("https://example.com", "192.0.2.7", "a b", "-x.example"):
        settings.KMES_PASSKEY_DOMAIN = wrong
        assert len(checks.check_domain()) == 1, wrong
    for right in ("", "localhost", "console.example.com"):
        settings.KMES_PASSKEY_DOMAIN = right
        assert checks.check_domain() == []


def test_without_script_the_pages_say_so_and_the_code_stays(users, key):
    client = with_password(users["admin"])
    page = body(client.get(STEP))
    assert "Passkeys need JavaScript" in page
    assert 'name="code"' in page


# --- Signing in --------------------------------------------------------------------------------
def test_a_passkey_signs_in_without_a_password_and_counts_as_both_factors(users, settings, key):
    settings.KMES_SECOND_FACTOR_ROLES = ["admin"]
    client, answer = sign_in(key)
    assert answer.url == "/jobs/"
    assert client.get("/users/add/").status_code == 200
    row = last_sign_in()
    assert (row.actor_name, row.data["second_factor"]) == ("the-admin", "passkey")
    assert Passkey.objects.get().used_at is not None


def test_the_sign_in_page_offers_passkeys_once_somebody_has_one(users):
    assert "Use a passkey" not in body(Client().get("/login/"))
    add_passkey(with_password(users["admin"]), Authenticator())
    assert "Use a passkey" in body(Client().get("/login/"))


def test_as_second_factor_a_passkey_follows_the_password(users, key):
    client = with_password(users["admin"])
    assert not is_in(client)
    assert "Use a passkey" in body(client.get(STEP))
    assert second_step(client, key).url == "/"
    assert is_in(client)


def test_a_recovery_code_signs_in_where_the_passkey_is_lost(users):
    client = with_password(users["operator"])
    codes = re.findall(r"<li>([a-z2-9-]{29})</li>", body(add_passkey(client, Authenticator())))
    back = with_password(users["operator"])
    assert "Recovery code" in body(back.get(STEP))
    assert back.post(STEP, {"code": codes[0]}).url == "/"
    assert Notice.objects.filter(event="access.recovery_code_used").exists()


def test_a_passkey_satisfies_the_policy_and_the_page_to_add_it_is_open_before(users, settings):
    settings.KMES_SECOND_FACTOR_ROLES = ["admin"]
    client, key = with_password(users["admin"]), Authenticator()
    assert client.get("/users/").url == PAGE
    assert client.get(ADD).status_code == 200
    assert add_passkey(client, key).status_code == 200
    assert is_in(client)
    assert is_in(sign_in(key)[0])


def test_a_deactivated_user_is_not_signed_in_and_a_one_time_password_is_replaced_first(users, key):
    users["admin"].one_time_until = now() + timedelta(hours=1)
    users["admin"].save()
    assert sign_in(key)[0].get("/users/").url == "/profile/password/"
    users["admin"].is_active = False
    users["admin"].save()
    client, answer = sign_in(key)
    assert answer.status_code == 422
    assert not is_in(client)


# --- Step-up -----------------------------------------------------------------------------------
def test_before_dangerous_acts_a_passkey_confirms_for_five_minutes(users, key, clock):
    client, _answer = sign_in(key)
    clock.shift(LONG)
    page = client.get("/users/add/").url
    assert page.startswith(CONFIRM)
    assert "Use a passkey" in body(client.get(page))
    answer = key.get(options(client, OPTIONS), origin=ORIGIN)
    assert client.post(page, {"passkey": answer}).url == "/users/add/"
    assert client.get("/users/add/").status_code == 200


@pytest.mark.parametrize("minutes", [0, 5])
def test_factors_are_changed_within_five_minutes_of_a_proof_whatever_the_setting(users, key, settings, clock, minutes):
    settings.KMES_STEP_UP_MINUTES = minutes
    client, _answer = sign_in(key)
    passkey = Passkey.objects.get()
    paths = (ADD, f"{PAGE}app/", f"{PAGE}passkeys/{passkey.pk}/remove/")
    assert [client.get(path).status_code for path in paths] == [200, 200, 200]
    clock.shift(LONG)
    for path in paths:
        assert client.get(path).url == f"{CONFIRM}?next={path}"
        assert client.post(path).url.startswith(CONFIRM)
    assert Passkey.objects.exists()
    answer = key.get(options(client, OPTIONS), origin=ORIGIN)
    assert client.post(f"{CONFIRM}?next={ADD}", {"passkey": answer}).url == ADD
    assert client.get(ADD).status_code == 200


def test_a_passkey_makes_new_recovery_codes_and_removes_an_app(users, key, clock):
    client, _answer = sign_in(key)
    phone, codes = None, []
    page = body(client.get(f"{PAGE}app/"))
    token = re.search(r'name="token" value="([^"]+)"', page)[1]
    phone = apps.Phone(re.search(r'data-copy="([A-Z2-7]{32})"', page)[1])
    assert client.post(f"{PAGE}app/", {"token": token.replace("&amp;", "&"), "code": phone.code()}).url == PAGE
    answer = client.post(f"{PAGE}recovery-codes/", {"passkey": key.get(options(client, OPTIONS), origin=ORIGIN)})
    codes = re.findall(r"<li>([a-z2-9-]{29})</li>", body(answer))
    assert len(codes) == 10
    removed = client.post(f"{PAGE}remove/", {"passkey": key.get(options(client, OPTIONS), origin=ORIGIN)})
    assert removed.url == PAGE
    # The passkey and the codes stay.
    assert RecoveryCode.objects.count() == 10
    assert is_in(sign_in(key)[0])
    assert second_step(with_password(users["admin"]), key).url == "/"
    clock.shift(timedelta(seconds=totp.STEP_SECONDS))
    assert with_password(users["admin"]).post(STEP, {"code": phone.code()}).status_code == 200


# --- Removing ----------------------------------------------------------------------------------
def test_removing_the_last_passkey_leaves_the_password_alone_and_is_told(users, key):
    client, _answer = sign_in(key)
    path = f"{PAGE}passkeys/{Passkey.objects.get().pk}/remove/"
    assert "password alone signs in" in body(client.get(path))
    assert client.post(path).url == PAGE
    assert not RecoveryCode.objects.exists()
    assert is_in(with_password(users["admin"]))
    row = LogEntry.objects.get(event="user.factor_removed")
    assert (row.message, row.severity) == ("the-admin removed the passkey “Key”", "warning")
    assert Notice.objects.filter(event="user.factor_removed", user_id=users["admin"].pk).exists()


def test_whoever_must_have_a_factor_and_removes_the_last_one_sets_up_another_at_once(users, key, settings):
    settings.KMES_SECOND_FACTOR_ROLES = ["admin"]
    client, _answer = sign_in(key)
    client.post(f"{PAGE}passkeys/{Passkey.objects.get().pk}/remove/")
    assert client.get("/users/").url == PAGE


def test_an_administrator_resets_the_passkeys_of_somebody_else(users, key):
    operator, lost = with_password(users["operator"]), Authenticator()
    add_passkey(operator, lost)
    admin, _answer = sign_in(key)
    assert admin.post(f"/users/{users['operator'].pk}/reset-second-factor/").status_code == 302
    assert operator.get("/shortcuts/").status_code == 302
    assert sign_in(lost)[1].status_code == 422
    assert with_password(users["operator"]).get("/shortcuts/").status_code == 200
    assert Passkey.objects.filter(user=users["admin"]).exists()


def test_a_user_has_twenty_at_most(users, key):
    client, _answer = sign_in(key)
    first = Passkey.objects.get()
    for number in range(19):
        first.pk, first.digest = None, f"{number:064}"
        first.save(force_insert=True)
    answer = add_passkey(client, Authenticator())
    assert answer.status_code == 422
    assert "20 passkeys already" in body(answer)


def test_second_step_options_need_a_sign_in_that_waits(users, key):
    assert Client().post(STEP_OPTIONS).status_code == 409
