"""The second factor: set up with a QR code, asked for at each sign-in, demanded by policy, recovered, removed, reset."""

from __future__ import annotations

import base64
import html
import re
from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client

from kmes.accounts.models import AuthenticatorApp, ConsoleSession, RecoveryCode
from kmes.accounts.second_factor import checks, totp
from kmes.core.clock import now
from logging_reports.models import LogEntry
from logging_reports.notices.models import Notice
from tests.people import FRAGMENT, body, make_people

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
PAGE, ADD = "/profile/second-factor/", "/profile/second-factor/app/"
STEP = timedelta(seconds=totp.STEP_SECONDS)


@pytest.fixture
def users(db):
    return make_people(password=PASSWORD)


@pytest.fixture
def clock():
    """A clock that stands, in the middle of a step, until it is moved."""
    start = now().replace(second=10, microsecond=0)
    with time_machine.travel(start, tick=False) as traveller:
        yield traveller


class Phone:
    """An authenticator app: it has the seed of the QR code, and shows codes."""

    def __init__(self, seed: str) -> None:
        self.seed = base64.b32decode(seed)

    def code(self, *, later: int = 0) -> str:
        return totp.code_at(self.seed, totp.step_of(now()) + later)


def sign_in(user, **fields):
    client = Client()
    return client, client.post("/login/", {"username": user.username, "password": PASSWORD, **fields})


def set_up(client, **fields):
    """Set an app up as a person does; returns the phone and the recovery codes."""
    page = html.unescape(body(client.get(ADD)))
    token = re.search(r'name="token" value="([^"]+)"', page)[1]
    phone = Phone(re.search(r'data-copy="([A-Z2-7]{32})"', page)[1])
    answer = client.post(ADD, {"token": token, "code": phone.code(), **fields})
    assert answer.status_code == 200, body(answer)
    return phone, re.findall(r"<li>([a-z2-9-]{29})</li>", body(answer))


def second_step(client, code):
    return client.post("/login/second-factor/", {"code": code})


def last_row():
    return LogEntry.objects.filter(service="audit").order_by("sequence").last()


# --- Codes -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("seconds", "code"),
    # RFC 6238, appendix B, the last six of eight digits.
    [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")],
)
def test_codes_are_those_of_the_standard(seconds, code):
    assert totp.code_at(b"12345678901234567890", seconds // totp.STEP_SECONDS) == code


def test_a_code_is_taken_one_step_early_and_late_and_no_more(clock):
    seed, present = totp.new_seed(), totp.step_of(now())
    taken = [step for step in range(-3, 4) if totp.matching_step(seed, totp.code_at(seed, present + step), at=now())]
    assert taken == [-1, 0, 1]


# --- Setting up --------------------------------------------------------------------------------
def test_a_person_sets_an_app_up_in_one_page_and_gets_recovery_codes_once(users, clock):
    client, _answer = sign_in(users["operator"])
    assert "Set up authenticator app" in body(client.get(PAGE))
    _phone, codes = set_up(client)
    assert len(set(codes)) == 10
    page = body(client.get(PAGE))
    assert "10 of 10 left" in page
    assert codes[0] not in page
    row = LogEntry.objects.get(event="user.factor_added")
    assert row.message == "the-operator added an authenticator app"


def test_who_was_led_there_goes_on_from_there_with_or_without_a_factor(users):
    client, _answer = sign_in(users["operator"])
    page = body(client.get(f"{PAGE}?next=/setup/2/"))
    assert 'href="/setup/2/">Continue without</a>' in page
    assert f'href="{ADD}?next=/setup/2/"' in page
    assert "Continue" not in body(client.get(PAGE))
    assert "Continue" not in body(client.get(f"{PAGE}?next=https://evil.example/"))
    form = html.unescape(body(client.get(f"{ADD}?next=/setup/2/")))
    token, seed = re.search(r'name="token" value="([^"]+)"', form)[1], re.search(r'data-copy="([A-Z2-7]{32})"', form)[1]
    codes = body(client.post(f"{ADD}?next=/setup/2/", {"token": token, "code": Phone(seed).code()}))
    assert f'href="{PAGE}?next=/setup/2/">I have saved them' in codes
    assert 'btn-primary" href="/setup/2/">Continue</a>' in body(client.get(f"{PAGE}?next=/setup/2/"))


def test_before_its_code_is_entered_nothing_is_stored_and_every_page_offers_another_seed(users):
    client, _answer = sign_in(users["operator"])
    seeds = {re.search(r'data-copy="([A-Z2-7]{32})"', body(client.get(ADD)))[1] for _time in range(3)}
    assert len(seeds) == 3
    assert not AuthenticatorApp.objects.exists()


def test_a_wrong_code_shows_the_same_qr_code_again(users, clock):
    client, _answer = sign_in(users["operator"])
    page = html.unescape(body(client.get(ADD)))
    token, seed = re.search(r'name="token" value="([^"]+)"', page)[1], re.search(r'data-copy="(\w{32})"', page)[1]
    answer = client.post(ADD, {"token": token, "code": "000000"})
    assert answer.status_code == 422
    assert seed in body(answer)
    assert not AuthenticatorApp.objects.exists()


def test_the_page_of_a_seed_is_kept_by_no_cache(users):
    client, _answer = sign_in(users["operator"])
    assert client.get(ADD)["Cache-Control"] == "no-store"


def test_setting_up_ends_the_other_sessions_of_the_user(users, clock):
    here, _answer = sign_in(users["operator"])
    there, _answer = sign_in(users["operator"])
    set_up(here)
    assert (here.get("/shortcuts/").status_code, there.get("/shortcuts/").status_code) == (200, 302)


def test_a_session_that_began_a_while_ago_is_asked_for_the_password(users, clock):
    client, _answer = sign_in(users["operator"])
    clock.shift(timedelta(minutes=6))
    page = html.unescape(body(client.get(ADD)))
    assert 'name="password"' in page
    fields = {
        "token": re.search(r'name="token" value="([^"]+)"', page)[1],
        "code": Phone(re.search(r'data-copy="(\w{32})"', page)[1]).code(),
    }
    for wrong in ({}, {"password": "another password"}):
        assert client.post(ADD, {**fields, **wrong}).status_code == 422
    assert client.post(ADD, {**fields, "password": PASSWORD}).status_code == 200


# --- Signing in --------------------------------------------------------------------------------
def test_without_a_factor_the_password_alone_signs_in(users):
    client, answer = sign_in(users["admin"])
    assert answer.url == "/"
    assert client.get("/users/").status_code == 200


def test_with_a_factor_the_password_alone_opens_no_page(users, clock):
    phone, _codes = set_up(sign_in(users["admin"])[0])
    clock.shift(STEP)
    client, answer = sign_in(users["admin"], next="/jobs/")
    assert answer.url == "/login/second-factor/"
    assert client.get("/users/").status_code == 302
    assert "the-admin" in body(client.get("/login/second-factor/"))
    assert second_step(client, phone.code()).url == "/jobs/"
    assert client.get("/users/").status_code == 200
    row = last_row()
    assert (row.event, row.data["second_factor"]) == ("access.login", "authenticator app")


def test_a_code_with_a_space_is_taken_as_the_app_shows_it(users, clock):
    phone, _codes = set_up(sign_in(users["admin"])[0])
    clock.shift(STEP)
    code = phone.code()
    assert second_step(sign_in(users["admin"])[0], f"{code[:3]} {code[3:]}").status_code == 302


def test_a_recovery_code_signs_in_once_and_its_user_is_told(users, clock):
    _phone, codes = set_up(sign_in(users["admin"])[0])
    assert second_step(sign_in(users["admin"])[0], codes[3].upper().replace("-", " ")).status_code == 302
    refused = second_step(sign_in(users["admin"])[0], codes[3])
    assert refused.status_code == 200
    assert "This code is wrong" in body(refused)
    notice = Notice.objects.get(event="access.recovery_code_used")
    assert notice.message == "Recovery code of the-admin used; 9 left"
    assert notice.user_id == users["admin"].pk


def test_the_second_step_is_for_somebody_whose_password_was_right_a_moment_ago(users, clock):
    phone, _codes = set_up(sign_in(users["admin"])[0])
    assert Client().get("/login/second-factor/").url == "/login/"
    client, _answer = sign_in(users["admin"])
    clock.shift(timedelta(minutes=11))
    assert second_step(client, phone.code()).url == "/login/"
    assert client.get("/users/").status_code == 302


# --- Recovery, removal, reset ------------------------------------------------------------------
def test_new_recovery_codes_need_a_code_and_replace_the_former_ones(users, clock):
    client, _answer = sign_in(users["operator"])
    phone, former = set_up(client)
    clock.shift(STEP)
    assert client.post(f"{PAGE}recovery-codes/", {"code": "000000"}).status_code == 422
    answer = client.post(f"{PAGE}recovery-codes/", {"code": phone.code()}, **FRAGMENT)
    assert len(re.findall(r"<li>[a-z2-9-]{29}</li>", body(answer))) == 10
    assert second_step(sign_in(users["operator"])[0], former[0]).status_code == 200


def test_a_user_removes_the_own_factor_with_a_code_and_is_told(users, clock):
    client, _answer = sign_in(users["operator"])
    phone, _codes = set_up(client)
    clock.shift(STEP)
    assert client.post(f"{PAGE}remove/", {"code": "123456"}).status_code == 422
    assert client.post(f"{PAGE}remove/", {"code": phone.code()}).url == PAGE
    assert not RecoveryCode.objects.exists()
    assert sign_in(users["operator"])[1].url == "/"
    assert Notice.objects.filter(event="user.factor_removed", user_id=users["operator"].pk).exists()


def test_an_administrator_resets_the_factor_of_somebody_else_which_is_a_warning_in_the_log(users, clock):
    operator, _answer = sign_in(users["operator"])
    set_up(operator)
    admin, _answer = sign_in(users["admin"])
    url = f"/users/{users['operator'].pk}/reset-second-factor/"
    assert url in body(admin.get(f"/users/{users['operator'].pk}/actions/"))
    assert "recovery codes no longer work" in body(admin.get(url, **FRAGMENT))
    assert admin.post(url).status_code == 302
    assert operator.get("/shortcuts/").status_code == 302
    assert sign_in(users["operator"])[1].url == "/"
    row = LogEntry.objects.get(event="user.factor_reset")
    assert (row.severity, row.actor_name) == ("warning", "the-admin")
    assert admin.post(url).status_code == 409


def test_nobody_resets_the_own_factor_and_only_administrators_reset_others(users, clock):
    admin, _answer = sign_in(users["admin"])
    set_up(admin)
    url = f"/users/{users['admin'].pk}/reset-second-factor/"
    assert admin.post(url).status_code == 409
    for role in ("custodian", "operator", "auditor"):
        assert sign_in(users[role])[0].post(url).status_code == 403
    assert AuthenticatorApp.objects.exists()


def test_from_the_servers_shell_a_factor_is_removed(users, clock):
    set_up(sign_in(users["admin"])[0])
    out = StringIO()
    call_command("reset_second_factor", "the-admin", stdout=out)
    assert "is removed" in out.getvalue()
    assert not ConsoleSession.objects.filter(user=users["admin"]).exists()
    assert last_row().event == "user.factor_reset"
    for name in ("the-admin", "nobody"):
        with pytest.raises(CommandError):
            call_command("reset_second_factor", name)


# --- Policy ------------------------------------------------------------------------------------
def test_a_role_that_must_have_a_factor_reaches_no_page_before_it_is_set_up(users, settings, clock):
    settings.KMES_SECOND_FACTOR_ROLES = ["admin"]
    client, _answer = sign_in(users["admin"])
    assert client.get("/users/").url == PAGE
    assert client.post("/users/add/", {"username": "x", "role": "admin"}).url == PAGE
    assert "Your role needs a second factor" in body(client.get(PAGE))
    phone, _codes = set_up(client)
    assert client.get("/users/").status_code == 200
    clock.shift(STEP)
    client, _answer = sign_in(users["admin"])
    assert second_step(client, phone.code()).url == "/"
    assert client.get("/users/").status_code == 200


def test_other_roles_and_sessions_that_are_open_go_on(users, settings):
    before, _answer = sign_in(users["admin"])
    settings.KMES_SECOND_FACTOR_ROLES = ["admin"]
    assert before.get("/users/").status_code == 200
    assert sign_in(users["operator"])[0].get("/users/").status_code == 200


def test_whoever_must_have_a_factor_and_removes_it_sets_up_another_one_at_once(users, settings, clock):
    settings.KMES_SECOND_FACTOR_ROLES = ["admin"]
    client, _answer = sign_in(users["admin"])
    phone, _codes = set_up(client)
    clock.shift(STEP)
    client.post(f"{PAGE}remove/", {"code": phone.code()})
    assert client.get("/users/").url == PAGE
    set_up(client)
    assert client.get("/users/").status_code == 200


def test_a_one_time_password_is_replaced_first(users, settings):
    settings.KMES_SECOND_FACTOR_ROLES = ["admin"]
    users["admin"].one_time_until = now() + timedelta(hours=1)
    users["admin"].save()
    client, _answer = sign_in(users["admin"])
    assert client.get(PAGE).url == "/profile/password/"
    fields = {"old_password": PASSWORD, "new_password1": "a staple for nobody but me"}
    client.post("/profile/password/", {**fields, "new_password2": fields["new_password1"]})
    assert client.get("/users/").url == PAGE


def test_a_role_that_does_not_exist_stops_the_start(settings):
    settings.KMES_SECOND_FACTOR_ROLES = ["admin", "administrator"]
    (found,) = checks.check_roles()
    assert "administrator" in found.msg
    settings.KMES_SECOND_FACTOR_ROLES = []
    assert checks.check_roles() == []


def test_the_roles_page_says_of_whom_a_factor_is_required(users, settings):
    client, _answer = sign_in(users["auditor"])
    assert "required of no built-in role" in body(client.get("/roles/"))
    settings.KMES_SECOND_FACTOR_ROLES = ["admin", "custodian"]
    assert "required of: Administrator, Key custodian" in body(client.get("/roles/"))
