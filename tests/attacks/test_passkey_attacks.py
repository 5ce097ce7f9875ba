"""Somebody who lacks a user's passkey: other sites, replays, other people's passkeys, copies, forged answers and rows."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import connections
from django.test import Client

from kmes.accounts.models import FactorFailure, Passkey, UsedChallenge, User
from kmes.accounts.second_factor.passkeys import ceremonies, challenges
from kmes.accounts.second_factor.passkeys.challenges import Challenge
from kmes.core.clock import now
from logging_reports.models import LogEntry
from logging_reports.notices.models import Notice
from tests.accounts.passkey_pages import (
    ADD,
    CONFIRM,
    NEW_OPTIONS,
    OPTIONS,
    ORIGIN,
    PAGE,
    PASSWORD,
    SIGN_IN,
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
from tests.authenticator import BE, BS, UP, UV, Authenticator, Credential, b64, cbor, from_b64
from tests.people import body

EVIL = "https://testserver.evil.example"


def make_user(name, role="admin"):
    return User.objects.create_user(name, password=PASSWORD, role=role)


def passkey_of(user):
    key = Authenticator()
    assert add_passkey(with_password(user), key).status_code == 200
    return key


@pytest.fixture
def clock(db):
    with time_machine.travel(now().replace(second=10, microsecond=0), tick=False) as traveller:
        yield traveller


@pytest.fixture
def ada(db):
    return make_user("ada")


@pytest.fixture
def key(ada):
    return passkey_of(ada)


# --- Answers that prove nothing ------------------------------------------------------------------
ODD = {
    "another site": {"origin": EVIL, "ignores_site": True},
    "another port": {"origin": f"{ORIGIN}:8443"},
    "another scheme": {"origin": "https://testserver"},
    "a frame of another site": {"cross_origin": True},
    "nobody present": {"flags": UV},
    "nobody verified": {"flags": UP},
    "of another kind than it was": {"flags": UP | UV | BE},
    "copied, yet not to be copied": {"flags": UP | UV | BS},
    "made for a new passkey": {"type": "webauthn.create"},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_answer_from_another_site_or_without_its_user_signs_nobody_in(key, odd):
    client, answer = sign_in(key, **odd)
    assert answer.status_code == 422
    assert not is_in(client)
    assert is_in(sign_in(key)[0])


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_nor_is_it_a_second_factor_or_a_confirmation(ada, key, clock, odd):
    half = with_password(ada)
    assert second_step(half, key, **odd).status_code == 200
    assert not is_in(half)
    client, _answer = sign_in(key)
    clock.shift(timedelta(minutes=6))
    answer = key.get(options(client, OPTIONS), **{"origin": ORIGIN, **odd})
    assert client.post(f"{CONFIRM}?next=/users/add/", {"passkey": answer}).status_code == 422
    assert client.get("/users/add/").status_code == 302


@pytest.mark.parametrize(
    "odd",
    [
        {"origin": EVIL, "ignores_site": True},
        {"cross_origin": True},
        {"flags": UP},
        {"type": "webauthn.get"},
        # RS1 and ES256K, which were not asked for, and a point that lies on no curve.
        {"public": cbor({1: 3, 3: -65535, -1: b"\1" * 256, -2: b"\1\0\1"})},
        {"public": cbor({1: 2, 3: -47, -1: 8, -2: b"\1" * 32, -3: b"\1" * 32})},
        {"public": cbor({1: 2, 3: -7, -1: 1, -2: b"\1" * 32, -3: b"\1" * 32})},
    ],
)
def test_a_passkey_made_on_another_site_unverified_or_with_a_weak_key_is_not_added(ada, odd):
    client = with_password(ada)
    made = Authenticator().create(options(client, NEW_OPTIONS), **{"origin": ORIGIN, **odd})
    assert client.post(ADD, {"name": "Key", "passkey": made}).status_code == 422
    assert not Passkey.objects.exists()


def test_a_signature_by_another_key_under_the_same_id_is_refused(key):
    forged = Authenticator()
    mine = key.held[0]
    forged.held = [Credential(mine.id, forged._make_key(), mine.algorithm, mine.domain, mine.handle, 50)]
    client, answer = sign_in(forged)
    assert (answer.status_code, is_in(client)) == (422, False)


# --- Challenges ----------------------------------------------------------------------------------
def test_an_answer_is_taken_once_also_with_the_cookie_of_its_challenge(key):
    key.counts = False
    client = Client()
    asked = options(client, SIGN_IN_OPTIONS)
    cookie = client.cookies[challenges.COOKIE_NAME].value
    answer = key.get(asked, origin=ORIGIN)
    Passkey.objects.update(sign_count=0)
    answer = key.get(asked, origin=ORIGIN, count=0)
    assert client.post(SIGN_IN, {"passkey": answer}).status_code == 302
    thief = Client()
    thief.cookies[challenges.COOKIE_NAME] = cookie
    assert thief.post(SIGN_IN, {"passkey": answer}).status_code == 422
    assert not is_in(thief)
    assert UsedChallenge.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_who_send_one_answer_at_the_same_moment_one_gets_in():
    key = passkey_of(make_user("ada"))
    Passkey.objects.update(sign_count=0)
    client = Client()
    answer = key.get(options(client, SIGN_IN_OPTIONS), origin=ORIGIN, count=0)
    ready, statuses = threading.Barrier(4), []

    def send():
        other = Client()
        other.cookies[challenges.COOKIE_NAME] = client.cookies[challenges.COOKIE_NAME].value
        ready.wait()
        try:
            statuses.append(other.post(SIGN_IN, {"passkey": answer}).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [302, 422, 422, 422]


def test_a_challenge_is_for_five_minutes_and_no_clock_that_is_set_back_makes_it_good_again(key, clock):
    for shift, status in ((timedelta(minutes=5), 302), (timedelta(minutes=6), 422), (-timedelta(minutes=1), 422)):
        client = Client()
        asked = options(client, SIGN_IN_OPTIONS)
        clock.shift(shift)
        assert client.post(SIGN_IN, {"passkey": key.get(asked, origin=ORIGIN)}).status_code == status
        clock.shift(-shift)


def test_a_challenge_is_for_one_purpose_session_and_user(ada, key, clock):
    eve = make_user("eve")
    hers = passkey_of(eve)
    client, _answer = sign_in(key)
    clock.shift(timedelta(minutes=6))
    # Asked for a confirmation, sent as a sign-in, and the other way round.
    answer = key.get(options(client, OPTIONS), origin=ORIGIN)
    stranger = Client()
    stranger.cookies[challenges.COOKIE_NAME] = client.cookies[challenges.COOKIE_NAME].value
    assert stranger.post(SIGN_IN, {"passkey": answer}).status_code == 422
    other = Client()
    asked = options(other, SIGN_IN_OPTIONS)
    client.cookies[challenges.COOKIE_NAME] = other.cookies[challenges.COOKIE_NAME].value
    confirmed = client.post(f"{CONFIRM}?next=/", {"passkey": key.get(asked, origin=ORIGIN)})
    assert confirmed.status_code == 422
    # Of another session of the same user.
    second, _answer = sign_in(key)
    clock.shift(timedelta(minutes=6))
    asked = options(second, OPTIONS)
    client.cookies[challenges.COOKIE_NAME] = second.cookies[challenges.COOKIE_NAME].value
    assert client.post(f"{CONFIRM}?next=/", {"passkey": key.get(asked, origin=ORIGIN)}).status_code == 422
    # Of another user's session.
    theirs, _answer = sign_in(hers)
    asked = options(theirs, NEW_OPTIONS)
    thief = with_password(make_user("bob"))
    thief.cookies[challenges.COOKIE_NAME] = theirs.cookies[challenges.COOKIE_NAME].value
    made = Authenticator().create(asked, origin=ORIGIN)
    assert thief.post(ADD, {"name": "Key", "passkey": made}).status_code == 422


def test_a_challenge_of_ones_own_making_is_none(key):
    asked = {"rpId": "testserver", "userVerification": "required", "challenge": b64(b"x" * 32)}
    answer = key.get(asked, origin=ORIGIN)
    for cookie in ("", "x", json.dumps({"value": asked["challenge"]}), "eyJ9:1abc:" + "x" * 43):
        client = Client()
        client.cookies[challenges.COOKIE_NAME] = cookie
        assert client.post(SIGN_IN, {"passkey": answer}).status_code == 422


def test_strangers_who_ask_for_challenges_leave_no_row(db):
    counted = {model: model.objects.count() for model in (UsedChallenge, LogEntry)}
    client = Client()
    for _each in range(5):
        options(client, SIGN_IN_OPTIONS)
    assert {model: model.objects.count() for model in counted} == counted
    assert client.cookies.keys() == {challenges.COOKIE_NAME}
    cookie = client.cookies[challenges.COOKIE_NAME]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Strict", 300)


# --- Other people's passkeys ---------------------------------------------------------------------
def test_the_passkey_of_another_user_is_no_second_factor(ada, key):
    eve = passkey_of(make_user("eve"))
    half = with_password(ada)
    assert second_step(half, eve, credential=eve.held[0]).status_code == 200
    assert not is_in(half)
    assert FactorFailure.objects.filter(user=ada).count() == 1


def test_a_sign_in_says_whose_it_is_and_says_it_rightly(ada, key):
    eve = passkey_of(make_user("eve"))
    for handle in (None, b"", eve.held[0].handle):
        client, answer = sign_in(key, handle=handle)
        assert (answer.status_code, is_in(client)) == (422, False)


def test_a_passkey_that_was_added_is_not_added_again_for_somebody_else(ada, key):
    thief = with_password(make_user("eve"))
    asked = options(thief, NEW_OPTIONS)
    stolen = Authenticator()
    made = json.loads(stolen.create(asked, origin=ORIGIN))
    # The id of hers, with a key of his: within the data that the authenticator vouches for.
    found = ceremonies.check_new(
        ceremonies.RelyingParty("testserver", frozenset({ORIGIN})),
        Challenge(from_b64(asked["challenge"]), b"x"),
        json.dumps(made),
    )
    Passkey.objects.filter(user=ada).update(digest=found.digest)
    assert thief.post(ADD, {"name": "Key", "passkey": json.dumps(made)}).status_code == 422
    assert Passkey.objects.count() == 1


def test_nobody_removes_or_sees_the_passkey_of_another_user(ada, key):
    eve = with_password(make_user("eve"))
    path = f"{PAGE}passkeys/{Passkey.objects.get().pk}/remove/"
    assert (eve.get(path).status_code, eve.post(path).status_code) == (404, 404)
    assert Passkey.objects.count() == 1


def test_a_row_that_was_moved_to_another_user_or_domain_signs_nobody_in(ada, key):
    eve = make_user("eve", role="auditor")
    hers = passkey_of(eve)
    row = Passkey.objects.filter(user=eve)
    row.update(user=ada)
    client, answer = sign_in(hers)
    assert (answer.status_code, is_in(client)) == (422, False)
    Passkey.objects.filter(user=ada).exclude(digest=Passkey.objects.earliest("pk").digest).update(
        user=eve, domain="other.example"
    )
    assert sign_in(hers)[1].status_code == 422


def test_under_another_key_no_passkey_counts_and_the_password_page_stays(key, settings, tmp_path):
    settings.KMES_SECOND_FACTOR_KEY_FILE = tmp_path / "other" / "key"
    answer = sign_in(key)[1]
    assert answer.status_code == 422
    assert "does not open" in body(answer)


# --- Copies and what was removed -----------------------------------------------------------------
def test_a_counter_that_goes_back_is_refused_logged_and_told_to_its_user(ada, key):
    for _each in range(3):
        sign_in(key)
    known = Passkey.objects.get().sign_count
    for count in (known, known - 1, 0):
        client, answer = sign_in(key, count=count)
        assert "seems to exist twice" in body(answer)
        assert not is_in(client)
    assert Passkey.objects.get().sign_count == known
    row = LogEntry.objects.filter(event="access.passkey_cloned").latest("sequence")
    assert (row.severity, row.data["known"], row.data["count"]) == ("warning", known, 0)
    assert Notice.objects.filter(event="access.passkey_cloned", user_id=ada.pk).exists()


def test_a_passkey_without_counter_goes_on(ada):
    key = Authenticator(counts=False, is_synced=True)
    add_passkey(with_password(ada), key)
    assert [is_in(sign_in(key)[0]) for _each in range(2)] == [True, True]


def test_after_its_removal_a_passkey_proves_nothing(ada, key):
    client, _answer = sign_in(key)
    other = Authenticator()
    add_passkey(client, other)
    asked = options(stranger := Client(), SIGN_IN_OPTIONS)
    half = with_password(ada)
    step = options(half, STEP_OPTIONS)
    client.post(f"{PAGE}passkeys/{Passkey.objects.earliest('pk').pk}/remove/")
    assert stranger.post(SIGN_IN, {"passkey": key.get(asked, origin=ORIGIN)}).status_code == 422
    assert half.post(STEP, {"passkey": key.get(step, origin=ORIGIN)}).status_code == 200
    assert not is_in(half)
    assert is_in(sign_in(other)[0])
