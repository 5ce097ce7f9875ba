"""Somebody who guesses passkeys, floods the console with broken answers, or holds a stolen session."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest
from django.test import Client, RequestFactory

from kmes.accounts.models import FactorFailure, Passkey
from kmes.accounts.second_factor.passkeys import ceremonies, services
from kmes.accounts.second_factor.passkeys.challenges import Challenge
from kmes.accounts.second_factor.services import FactorRefused
from logging_reports.models import LogEntry
from tests.accounts.passkey_pages import (
    ADD,
    CONFIRM,
    NEW_OPTIONS,
    ORIGIN,
    PASSWORD,
    SIGN_IN_OPTIONS,
    STEP,
    STEP_OPTIONS,
    is_in,
    options,
    second_step,
    sign_in,
    with_password,
)
from tests.attacks.test_passkey_attacks import EVIL, ada, clock, key
from tests.authenticator import UP, Authenticator, b64, from_b64
from tests.people import body

__all__ = ["ada", "clock", "key"]


# --- Stolen sessions -----------------------------------------------------------------------------
def test_a_stolen_session_adds_no_passkey_without_password_or_factor(ada, clock):
    client = with_password(ada)
    clock.shift(timedelta(minutes=6))
    for more in ({}, {"password": "a guess"}):
        made = Authenticator().create(options(client, NEW_OPTIONS), origin=ORIGIN)
        assert client.post(ADD, {"name": "Key", "passkey": made, **more}).status_code == 422
    mine = Authenticator()
    made = mine.create(options(client, NEW_OPTIONS), origin=ORIGIN)
    client.post(ADD, {"name": "Key", "passkey": made, "password": PASSWORD})
    clock.shift(timedelta(minutes=6))
    assert client.post(NEW_OPTIONS).url.startswith(CONFIRM)
    assert client.post(ADD, {"name": "Key", "passkey": made, "password": PASSWORD}).url.startswith(CONFIRM)
    assert Passkey.objects.count() == 1


def test_a_session_is_no_younger_after_the_clock_was_set_back(ada, clock):
    client = with_password(ada)
    clock.shift(timedelta(hours=-1))
    assert 'name="password"' in body(client.get(ADD))


# --- Guesses -------------------------------------------------------------------------------------
def test_five_wrong_answers_lock_the_second_factor_and_no_stranger_can_do_that(ada, key, clock):
    half = with_password(ada)
    for _each in range(5):
        second_step(half, key, flags=UP)
    answer = second_step(half, key)
    assert "Too many wrong codes" in body(answer)
    assert LogEntry.objects.filter(event="access.factor_locked").count() == 1
    # A passkey alone can't be guessed: its user is not locked out by somebody who knows the password.
    assert is_in(sign_in(key)[0])
    FactorFailure.objects.all().delete()
    for _each in range(7):
        assert sign_in(key, flags=UP)[1].status_code == 422
    assert not FactorFailure.objects.exists()


def test_one_address_tries_few_passkeys_and_others_go_on(ada, key, settings, clock):
    settings.KMES_SIGN_IN_TRIES_PER_ADDRESS = 3
    statuses = [sign_in(key, flags=UP)[1].status_code for _each in range(5)]
    assert statuses == [422, 422, 422, 429, 429]
    assert sign_in(key)[1].status_code == 429
    assert sign_in(key, Client(REMOTE_ADDR="192.0.2.9"))[1].status_code == 302
    # One row for what is the same within a minute.
    assert LogEntry.objects.filter(event="access.login_failed", actor_name="(passkey)").count() == 1
    clock.shift(timedelta(minutes=17))
    assert sign_in(key)[1].status_code == 302


def test_a_sign_in_tells_nobody_which_passkeys_there_are(key):
    client = Client()
    asked = options(client, SIGN_IN_OPTIONS)
    assert not asked.get("allowCredentials")
    unknown = Authenticator()
    unknown.create({**_creation(), "challenge": asked["challenge"]}, origin=ORIGIN)
    assert "is not valid here" in body(sign_in(unknown)[1])


# --- What a hostile client sends -----------------------------------------------------------------
def test_no_answer_however_broken_is_an_error_of_the_server(ada, key):
    """Each field is cut, filled with noise, replaced by other types; each is refused like any wrong answer."""
    draw = random.Random(20260101)
    party = ceremonies.RelyingParty("testserver", frozenset({ORIGIN}))
    challenge = Challenge(b"x" * 32, b"h")
    asked = {"rpId": "testserver", "userVerification": "required", "challenge": b64(challenge.value)}
    good = json.loads(key.get(asked, origin=ORIGIN))
    made = json.loads(Authenticator().create({**_creation(), "challenge": b64(challenge.value)}, origin=ORIGIN))
    credential = services.known_credentials(ada, domain="testserver")[0]
    assert ceremonies.check_answer(
        party, challenge, ceremonies.read_answer(json.dumps(good)), credential=credential, is_synced=False
    )
    odd = [
        None,
        True,
        7,
        -1.5,
        "",
        "=",
        "ä",
        "\0",
        [],
        {},
        [[]],
        "A" * 15_000,
        b64(b"\x9f" * 3000),
        b64(b"\x81" * 3000),
    ]
    refused = 0
    for number in range(400):
        answer = json.loads(json.dumps(draw.choice((good, made))))
        place = draw.choice((answer, answer["response"]))
        name = draw.choice(sorted(place))
        data = bytearray(from_b64(place[name])) if isinstance(place[name], str) and name not in {"type", "id"} else b""
        if data and number % 2:
            for _each in range(draw.randint(1, 4)):
                data[draw.randrange(len(data))] = draw.randrange(256)
            place[name] = b64(bytes(data[: draw.choice((len(data), draw.randrange(len(data) + 1)))]))
        elif number % 5 == 0:
            del place[name]
        else:
            place[name] = draw.choice(odd)
        sent = json.dumps(answer)
        for check in (
            lambda sent=sent: ceremonies.check_new(party, challenge, sent),
            lambda sent=sent: ceremonies.check_answer(
                party, challenge, ceremonies.read_answer(sent), credential=credential, is_synced=False
            ),
        ):
            try:
                check()
            except FactorRefused:
                refused += 1
    assert refused > 400
    for sent in ("", "[]", "null", "{", "[" * 15_000, "x" * 20_000, '{"a":' * 2000):
        with pytest.raises(FactorRefused):
            ceremonies.read_answer(sent)


def test_no_page_shows_an_answer_again(ada, key):
    half = with_password(ada)
    answer = key.get(options(half, STEP_OPTIONS), origin=ORIGIN, flags=UP)
    page = body(half.post(STEP, {"passkey": answer}))
    assert json.loads(answer)["response"]["signature"] not in page


def test_the_host_that_a_proxy_or_a_stranger_names_is_none_of_the_origins(rf: RequestFactory):
    request = rf.get("/", headers={"host": "testserver", "x-forwarded-host": "evil.example", "origin": EVIL})
    party = ceremonies.party_of(request)
    assert (party.domain, party.origins) == ("testserver", frozenset({ORIGIN}))
    for origin in (EVIL, "null", "", None, 7, "http://testserver.", "http://x@testserver", "http://testserver/"):
        assert not party.is_own(origin)


def _creation():
    return {
        "rp": {"id": "testserver"},
        "user": {"id": b64(b"h")},
        "authenticatorSelection": {"userVerification": "required"},
        "pubKeyCredParams": [{"alg": -7}],
    }
