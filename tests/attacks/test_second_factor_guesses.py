"""Somebody who knows a password, or reads the database, and lacks the second factor."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import connection, connections
from django.test import Client

from kmes.accounts.models import AuthenticatorApp, FactorFailure, RecoveryCode
from kmes.accounts.second_factor import recovery_codes, seals, services, totp
from kmes.accounts.second_factor.services import Factor, FactorRefused
from kmes.core.actor import Actor
from kmes.core.clock import now
from logging_reports.models import LogEntry
from logging_reports.notices.models import Notice

PASSWORD = "correct horse battery staple"
SEED = b"12345678901234567890"


def add_app(user):
    """Set an app up a while ago; returns the recovery codes."""
    step = totp.step_of(now()) - 10
    with time_machine.travel(step * totp.STEP_SECONDS, tick=False):
        code = totp.code_at(SEED, step)
        return services.add_app(user=user, seed=SEED, code=code, session_key="", actor=Actor.from_user(user))


@pytest.fixture
def ada(db, django_user_model):
    user = django_user_model.objects.create_user("ada", password=PASSWORD, role="admin")
    add_app(user)
    return user


@pytest.fixture
def clock(db):
    with time_machine.travel(now().replace(second=10, microsecond=0), tick=False) as traveller:
        yield traveller


def code(later=0):
    return totp.code_at(SEED, totp.step_of(now()) + later)


def half_way(**place):
    """A browser in which the password was right."""
    client = Client(**place)
    assert client.post("/login/", {"username": "ada", "password": PASSWORD}).url == "/login/second-factor/"
    return client


def try_code(client, text):
    return client.post("/login/second-factor/", {"code": text})


def is_in(client):
    return client.get("/users/").status_code == 200


def test_after_five_wrong_codes_the_right_one_is_refused_from_every_browser(clock, ada):
    first = half_way()
    for number in range(5):
        assert try_code(first, f"00000{number}").status_code == 200
    for client in (first, half_way()):
        answer = try_code(client, code())
        assert answer.status_code == 200
        assert "Too many wrong codes" in answer.content.decode()
        assert not is_in(client)
    assert FactorFailure.objects.count() == 5
    assert LogEntry.objects.filter(event="access.factor_failed").count() == 5
    notice = Notice.objects.get(event="access.factor_locked")
    assert (notice.user_id, "password was right" in notice.message) == (ada.pk, True)


def test_the_lock_ends_after_a_while_and_a_patient_guesser_has_twenty_tries_a_day(clock, ada):
    tries = 0
    for _round in range(8):
        client = half_way()
        for number in range(5):
            tries += "Too many" not in try_code(client, f"00000{number}").content.decode()
        clock.shift(timedelta(minutes=16))
    assert tries == 20
    assert not is_in(half_way())
    clock.shift(timedelta(hours=24))
    client = half_way()
    assert try_code(client, code()).status_code == 302
    assert not FactorFailure.objects.exists()


def test_what_the_user_proves_brings_a_guesser_elsewhere_no_further_tries(clock, ada):
    tries = 0
    for _round in range(8):
        guesser = half_way(REMOTE_ADDR="192.0.2.66")
        for number in range(4):
            tries += "Too many" not in try_code(guesser, f"00000{number}").content.decode()
        try_code(half_way(), code())
        clock.shift(timedelta(minutes=16))
    assert tries == 20


def test_signing_in_with_the_password_again_brings_no_further_tries(clock, ada):
    answers = [try_code(half_way(), f"00000{number}").content.decode() for number in range(7)]
    assert ["Too many" in answer for answer in answers] == [False] * 5 + [True] * 2


def test_a_code_that_was_used_is_refused_also_within_its_time(clock, ada):
    seen = code()
    assert try_code(half_way(), seen).status_code == 302
    thief = half_way()
    assert "was used before" in try_code(thief, seen).content.decode()
    # And so is an older one, which was not used.
    assert try_code(thief, code(-1)).status_code == 200
    assert not is_in(thief)
    clock.shift(timedelta(seconds=totp.STEP_SECONDS))
    assert try_code(thief, code()).status_code == 302


def test_the_code_that_set_the_app_up_signs_nobody_in(clock, django_user_model):
    user = django_user_model.objects.create_user("ada", password=PASSWORD, role="admin")
    services.add_app(user=user, seed=SEED, code=code(), session_key="", actor=Actor.from_user(user))
    assert "was used before" in try_code(half_way(), code()).content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_of_two_who_send_one_code_at_the_same_moment_one_gets_in(django_user_model, kind):
    user = django_user_model.objects.create_user("ada", password=PASSWORD, role="admin")
    codes = add_app(user)
    sent = code() if kind == "app" else codes[0].reveal()
    results: list[object] = []
    ready = threading.Barrier(4)

    def prove():
        ready.wait()
        try:
            results.append(services.prove(user=user, code=sent, address=""))
        except FactorRefused:
            results.append(None)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=prove) for _each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == sorted(
        ["None"] * 3 + [str(Factor.APP if kind == "app" else Factor.RECOVERY_CODE)]
    )


def test_half_a_sign_in_opens_no_page_and_its_session_is_not_the_one_that_follows(clock, ada):
    client = half_way()
    before = client.session.session_key
    for path in ("/", "/users/", "/profile/second-factor/", "/profile/password/", "/sessions/", "/logs/"):
        assert client.get(path).url.startswith("/login/"), path
    assert try_code(client, code()).status_code == 302
    assert client.session.session_key != before
    planted = Client()
    planted.cookies["kmes_session"] = before
    assert not is_in(planted)


def test_a_new_password_or_a_deactivation_ends_half_a_sign_in(clock, ada):
    client = half_way()
    ada.set_password("a staple for nobody but me")
    ada.save()
    assert try_code(client, code()).url == "/login/"
    ada.set_password(PASSWORD)
    ada.save()
    client = half_way()
    ada.is_active = False
    ada.save()
    assert try_code(client, code()).url == "/login/"
    assert not is_in(client)


def test_the_page_after_the_password_leads_to_no_other_host(clock, ada):
    client = Client()
    client.post("/login/", {"username": "ada", "password": PASSWORD, "next": "https://evil.example/"})
    assert try_code(client, code()).url == "/"


def test_a_name_with_a_factor_and_one_that_does_not_exist_answer_a_wrong_password_alike(ada):
    def answer(name):
        page = Client().post("/login/", {"username": name, "password": "wrong"})
        alert = page.content.decode().partition('role="alert"')[2].partition("</div>")[0]
        return page.status_code, alert

    assert answer("ada") == answer("nobody")


def test_a_stolen_session_sets_up_no_factor_without_the_password(clock, django_user_model):
    django_user_model.objects.create_user("bob", password=PASSWORD, role="admin")
    client = Client()
    client.post("/login/", {"username": "bob", "password": PASSWORD})
    clock.shift(timedelta(minutes=6))
    page = client.get("/profile/second-factor/app/").content.decode()
    token = page.partition('name="token" value="')[2].partition('"')[0]
    for number in range(6):
        fields = {"token": token, "code": code(), "password": f"guess {number}"}
        assert client.post("/profile/second-factor/app/", fields).status_code in {422, 429}
    assert not AuthenticatorApp.objects.exists()


def test_an_offered_seed_is_for_one_user_and_no_other(clock, django_user_model):
    clients = {}
    for name in ("bob", "eve"):
        django_user_model.objects.create_user(name, password=PASSWORD, role="admin")
        clients[name] = Client()
        clients[name].post("/login/", {"username": name, "password": PASSWORD})
    page = clients["eve"].get("/profile/second-factor/app/").content.decode()
    token = page.partition('name="token" value="')[2].partition('"')[0]
    answer = clients["bob"].post("/profile/second-factor/app/", {"token": token, "code": "000000"})
    assert "too old" in answer.content.decode()


# --- The database ------------------------------------------------------------------------------
def test_the_seed_stands_nowhere_in_the_database_nor_do_recovery_codes(clock, django_user_model):
    user = django_user_model.objects.create_user("ada", password=PASSWORD, role="admin")
    codes = add_app(user)
    sealed = bytes(AuthenticatorApp.objects.get(user=user).sealed_seed)
    assert SEED not in sealed
    assert len(sealed) == 1 + 12 + len(SEED) + 16
    stored = set(RecoveryCode.objects.values_list("digest", flat=True))
    assert not stored & {code.reveal() for code in codes}
    assert len(stored) == recovery_codes.COUNT


def test_a_seed_that_was_moved_to_another_user_opens_nothing(clock, ada, django_user_model):
    other = django_user_model.objects.create_user("eve", password=PASSWORD, role="admin")
    add_app(other)
    row = AuthenticatorApp.objects.get(user=ada)
    AuthenticatorApp.objects.filter(user=other).update(sealed_seed=row.sealed_seed)
    with pytest.raises(seals.SealError):
        services.prove(user=other, code=code(), address="")


def test_under_another_key_no_seed_opens_and_recovery_codes_still_sign_in(clock, django_user_model, settings, tmp_path):
    user = django_user_model.objects.create_user("ada", password=PASSWORD, role="admin")
    codes = add_app(user)
    settings.KMES_SECOND_FACTOR_KEY_FILE = tmp_path / "other" / "key"
    client = half_way()
    assert "does not open" in try_code(client, code()).content.decode()
    assert try_code(client, codes[0].reveal()).status_code == 302


def test_the_key_is_for_its_owner_alone(ada, settings):
    path = Path(settings.KMES_SECOND_FACTOR_KEY_FILE)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert len(path.read_bytes()) == 32


def test_no_page_and_no_log_row_holds_a_code_that_was_entered(clock, ada):
    page = try_code(half_way(), "987654").content.decode()
    assert "987654" not in page
    with connection.cursor() as cursor:
        cursor.execute("SELECT message, data FROM logging_reports_logentry")
        assert "987654" not in str(cursor.fetchall())
