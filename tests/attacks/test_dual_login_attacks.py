"""Nobody acts alone where a second administrator is demanded: not by a trick with names, codes, sessions or rows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client, RequestFactory

from kmes.accounts import services as users_services
from kmes.accounts import sessions
from kmes.accounts.dual_login.models import DualLoginPolicy, SecondSignIn
from kmes.accounts.dual_login.policy import read_policy
from kmes.accounts.dual_login.second_sign_in import NOTED, PENDING, begin
from kmes.accounts.models import ConsoleSession, CustomRole, User
from kmes.accounts.second_factor import services as second_factor
from kmes.accounts.second_factor import totp
from kmes.accounts.services import UserValues
from kmes.accounts.session_store import SessionStore, digest_of, name_of
from kmes.core.actor import SYSTEM, Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from logging_reports.models import LogEntry
from logging_reports.notices.models import Notice
from tests.accounts.dual_login_pages import (
    END,
    FACTOR,
    PASSWORD,
    POLICY,
    SIGN_IN,
    STEP,
    USER,
    adds_user,
    clock,
    code_of,
    join,
    make_user,
    sign_in,
    turn_on,
    with_code,
    with_password,
)
from tests.accounts.passkey_pages import OPTIONS, ORIGIN, add_passkey, options
from tests.authenticator import Authenticator
from tests.people import body

__all__ = ["clock"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def users(clock):
    made = {name: make_user(name) for name in ("ada", "bob", "cy")}
    turn_on(made["ada"])
    clock.shift(STEP)
    return made


@pytest.fixture
def browser(users, clock):
    """Ada's, without anybody besides her."""
    client = sign_in("ada")
    clock.shift(STEP)
    return client


@pytest.fixture
def joined(browser, clock):
    """Ada's, with Bob."""
    join(browser, "bob")
    assert adds_user(browser)
    clock.shift(STEP)
    return browser


def key_of(client):
    return client.session.session_key


# --- Who signs in --------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["ada", "Ada", "ADA", " ada "])
def test_nobody_is_their_own_second_administrator(name, browser):
    answer = with_password(browser, name)
    assert answer.status_code == 422
    assert "Somebody else has to sign in." in body(answer)
    assert with_code(browser, "ada").url.startswith(SIGN_IN)
    assert not adds_user(browser)


def test_a_session_of_the_second_is_not_used_for_itself(browser, users):
    # The name of the session's user was changed past the console meanwhile: the person counts, not the name.
    User.objects.filter(username="ada").update(username="zoe")
    assert with_password(browser, "ada").status_code == 422
    assert with_password(browser, "zoe").status_code == 422
    assert not adds_user(browser)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"role": "auditor"}, "has none of the roles that may"),
        ({"one_time_until": now() + timedelta(days=900)}, "has a one-time password"),
        ({"is_active": False}, "The name or the password is wrong."),
    ],
)
def test_who_may_not_is_refused_after_the_password_and_told_why(change, why, browser):
    User.objects.filter(username="bob").update(**change)
    answer = with_password(browser, "bob")
    assert answer.status_code == 422
    assert why in body(answer)
    assert not adds_user(browser)


def test_who_has_no_second_factor_is_refused(browser, users):
    second_factor.reset(user=users["bob"], actor=SYSTEM)
    assert "has no second factor" in body(with_password(browser, "bob"))
    assert not adds_user(browser)


def test_the_page_tells_nobody_which_names_there_are(browser, users):
    User.objects.filter(username="cy").update(is_active=False)
    wrong, unknown, deactivated = (
        body(with_password(browser, name, password)).replace(name, "")
        for name, password in (("bob", "wrong"), ("nobody", "wrong"), ("cy", PASSWORD))
    )
    for text in (wrong, unknown, deactivated):
        assert "The name or the password is wrong." in text


def test_five_failures_of_a_user_end_the_tries_in_all_sessions(browser, clock):
    for number in range(5):
        assert with_password(browser, f"guess-{number}", "wrong").status_code == 422
    assert "Too many failed tries in your sessions." in body(with_password(browser, "bob"))
    other = sign_in("ada")
    assert "Too many failed tries in your sessions." in body(with_password(other, "bob"))
    clock.shift(timedelta(minutes=16))
    assert with_password(browser, "bob").url.startswith(FACTOR)


def test_wrong_codes_count_against_the_second_and_the_session(browser):
    with_password(browser, "bob")
    for _try in range(5):
        assert browser.post(FACTOR, {"code": "000000"}).status_code == 422
    assert browser.post(FACTOR, {"code": code_of("bob")}).status_code == 422
    assert LogEntry.objects.filter(event="access.factor_locked", actor_name="bob").count() == 1
    assert LogEntry.objects.filter(event="access.second_refused", actor_name="ada").count() == 5
    assert not adds_user(browser)


def test_the_password_s_own_limits_count_too(browser):
    for _try in range(4):
        with_password(browser, "bob", "wrong")
    assert LogEntry.objects.filter(event="access.login_failed", actor_name="bob").exists()
    # One more locks the name for this address, on the sign-in page as well.
    with_password(browser, "bob", "wrong")
    assert Client().post("/login/", {"username": "bob", "password": PASSWORD}).status_code == 429


# --- Codes and passkeys --------------------------------------------------------------------------
def test_a_code_serves_once_wherever_it_is_used(browser, clock):
    sign_in("bob")
    with_password(browser, "bob")
    assert with_code(browser, "bob").status_code == 422
    clock.shift(STEP)
    assert with_code(browser, "bob").status_code == 302
    client = Client()
    client.post("/login/", {"username": "bob", "password": PASSWORD})
    assert client.post("/login/second-factor/", {"code": code_of("bob")}).status_code == 200
    other = sign_in("cy")
    with_password(other, "bob")
    assert with_code(other, "bob").status_code == 422


def test_a_passkey_s_answer_for_another_purpose_or_session_is_refused(browser, clock):
    key, bobs = Authenticator(), sign_in("bob")
    add_passkey(bobs, key)
    own = key.get(options(bobs, OPTIONS), origin=ORIGIN)
    with_password(browser, "bob")
    options(browser, f"{FACTOR}options/")
    assert browser.post(FACTOR, {"passkey": own}).status_code == 422
    # Nor does one that was made for this confirm something in the other session.
    here = key.get(options(browser, f"{FACTOR}options/"), origin=ORIGIN)
    clock.shift(timedelta(minutes=4))
    bobs.post("/profile/second-factor/confirm/?next=/users/", {"passkey": here})
    assert not adds_user(browser)


def test_the_first_step_counts_in_its_own_session_and_for_five_minutes(browser, clock):
    with_password(browser, "bob")
    clock.shift(STEP)
    other = sign_in("ada")
    assert with_code(other, "bob").url.startswith(SIGN_IN)
    clock.shift(timedelta(minutes=5))
    assert with_code(browser, "bob").url.startswith(SIGN_IN)


# --- What ends it --------------------------------------------------------------------------------
def test_whatever_ends_the_second_s_sessions_ends_it(joined, users):
    ends = {
        "deactivated": lambda: users_services.deactivate_user(user=users["bob"], actor=Actor.from_user(users["cy"])),
        "password": lambda: users_services.reset_password(user=users["bob"], actor=Actor.from_user(users["cy"])),
        "factor": lambda: second_factor.reset(user=users["bob"], actor=Actor.from_user(users["cy"])),
        "own factor": lambda: second_factor.remove_own_app(user=users["bob"], actor=Actor.from_user(users["bob"])),
        "sessions": lambda: sessions.end_others(user=users["bob"], kept_key="", actor=Actor.from_user(users["bob"])),
    }
    row = SecondSignIn.objects.get()
    for name, end in ends.items():
        SecondSignIn.objects.all().delete()
        row.save(force_insert=True)
        User.objects.filter(username="bob").update(is_active=True)
        if name == "own factor":
            make_factor_again(users["bob"])
        end()
        assert not SecondSignIn.objects.exists(), name
        assert not adds_user(joined), name


def make_factor_again(user):
    seed = b"b" * 20
    code = totp.code_at(seed, totp.step_of(now()))
    second_factor.add_app(user=user, seed=seed, code=code, session_key="", actor=Actor.from_user(user))


@pytest.mark.parametrize("change", [{"is_active": False}, {"role": "operator"}])
def test_a_second_who_may_not_any_more_counts_no_more(change, joined):
    User.objects.filter(username="bob").update(**change)
    assert not adds_user(joined)
    assert "With bob" not in body(joined.get("/users/"))


def test_a_smaller_role_of_the_second_ends_it_though_the_row_is_there(joined, users):
    values = UserValues("operator")
    users_services.update_user(user=users["bob"], values=values, actor=Actor.from_user(users["cy"]))
    assert SecondSignIn.objects.exists()
    assert not adds_user(joined)


def test_a_deactivation_between_the_two_steps_is_seen(browser, users):
    with_password(browser, "bob")
    users_services.deactivate_user(user=users["bob"], actor=Actor.from_user(users["cy"]))
    assert with_code(browser, "bob").url.startswith(SIGN_IN)
    assert not SecondSignIn.objects.exists()


def test_a_new_password_of_the_session_s_user_ends_it(joined):
    new = "quite another horse entirely"
    sent = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert joined.post("/profile/password/", sent).status_code == 302
    assert not SecondSignIn.objects.exists()
    assert not adds_user(joined)


def test_it_ends_with_the_session(joined, clock):
    key = key_of(joined)
    joined.post("/logout/")
    assert not SecondSignIn.objects.exists()
    again = sign_in("ada")
    clock.shift(STEP)
    assert not adds_user(again)
    join(again, "bob")
    sessions.end_session(session=ConsoleSession.objects.get(pk=digest_of(key_of(again))), actor=SYSTEM)
    assert not SecondSignIn.objects.exists()
    assert again.post("/users/add/", USER).url.startswith("/login/")
    assert key != key_of(again)


# --- Sessions and rows ---------------------------------------------------------------------------
def test_a_copy_of_the_cookie_from_before_gains_nothing(browser):
    thief = Client()
    thief.cookies = browser.cookies.copy()
    assert thief.get("/users/").status_code == 200
    join(browser, "bob")
    assert thief.get("/users/").status_code == 302
    assert not adds_user(thief)
    assert adds_user(browser)


def test_another_session_of_the_same_user_acts_not(joined, clock):
    other = sign_in("ada")
    clock.shift(STEP)
    assert not adds_user(other)


def test_a_request_under_way_when_it_is_ended_does_not_bring_it_back(joined):
    before = SessionStore(key_of(joined))
    before.load()
    joined.post(END)
    before[NOTED] = True
    before.save()
    assert not adds_user(joined)


def test_a_session_that_is_ended_at_the_last_moment_does_not_come_back(browser, users):
    with_password(browser, "bob")
    request = RequestFactory().post(FACTOR)
    request.user, request.session = users["ada"], SessionStore(key_of(browser))
    assert request.session.get(PENDING)["user"] == users["bob"].pk
    ConsoleSession.objects.filter(user=users["ada"]).delete()
    with pytest.raises(ConflictError):
        begin(request, users["bob"], second_factor.Factor.APP)
    assert not ConsoleSession.objects.filter(user=users["ada"]).exists()
    assert not SecondSignIn.objects.exists()


@pytest.mark.parametrize("forged", ["session", "until", "second", "user", "seal"])
def test_a_row_that_was_written_past_the_console_counts_for_nothing(forged, joined, users, clock):
    rows = SecondSignIn.objects.all()
    if forged == "session":
        other = sign_in("ada")
        clock.shift(STEP)
        rows.update(session=digest_of(key_of(other)))
        assert not adds_user(other)
        return
    rows.update(
        **{
            "until": {"until": now() + timedelta(days=1)},
            "second": {"second": users["cy"]},
            "user": {"user": users["cy"]},
            "seal": {"seal": b"\x01" + b"0" * 60},
        }[forged]
    )
    assert not adds_user(joined)


@pytest.mark.parametrize("forged", [{"actions": []}, {"second_roles": ["auditor"]}, {"minutes": 9999}])
def test_a_policy_that_was_changed_past_the_console_demands_everything_and_is_told(forged, browser):
    DualLoginPolicy.objects.update(**forged)
    assert not read_policy().is_genuine
    assert browser.post("/keys/groups/add/", {"name": "first"}).url.startswith(SIGN_IN)
    assert browser.get("/keys/").status_code == 200
    assert Notice.objects.filter(event="access.dual_login_not_genuine").count() == 1
    join(browser, "bob")
    assert "not as an administrator saved them" in body(browser.get(POLICY))
    sent = {"second_roles": ["admin"], "minutes": 15, "lock_version": read_policy().lock_version}
    assert browser.post(POLICY, {**sent, "actions": ["forwarding"]}).status_code == 302
    assert read_policy().is_genuine


@pytest.mark.parametrize("path", [SIGN_IN, FACTOR, f"{FACTOR}options/", END, POLICY])
def test_no_form_is_taken_from_another_site(path, joined):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = joined.cookies.copy()
    assert strict.post(path, {"code": "1", "username": "bob", "password": PASSWORD}).status_code == 403
    assert SecondSignIn.objects.exists()


def test_it_leads_to_no_other_host(browser):
    with_password(browser, "bob", next_page="https://evil.example/")
    assert with_code(browser, "bob", next_page="https://evil.example/").url == "/"


# --- Ways round ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "path",
    [
        "/users/add/",
        "/users/{cy}/edit/",
        "/users/{cy}/reset-password/",
        "/users/{cy}/reset-second-factor/",
        "/roles/add/",
        "/company-sign-on/",
        POLICY,
    ],
)
def test_no_account_or_role_is_made_to_get_round_it(path, browser, users):
    address = path.format(cy=users["cy"].pk)
    assert browser.post(address).url.startswith(SIGN_IN), address


def test_an_administrator_with_fewer_rights_can_not_turn_it_off(joined, users):
    CustomRole.objects.create(code="role-1", name="Clerk", rights=["console.read", "user.manage"], changed_at=now())
    User.objects.filter(username="ada").update(role="role-1")
    sent = {"second_roles": ["admin"], "minutes": 15, "lock_version": read_policy().lock_version}
    assert joined.post(POLICY, sent).status_code == 403
    assert read_policy().is_on


# --- What is not the user's own --------------------------------------------------------------------
def test_sessions_of_others_are_not_ended_alone_and_own_ones_are(browser, users):
    other, own = sign_in("bob"), sign_in("ada")
    for client, is_own in ((other, False), (own, True)):
        name = name_of(key_of(client))
        answer = browser.post(f"/sessions/{name}/end/")
        assert answer.url.startswith("/profile/" if is_own else SIGN_IN)
        assert ConsoleSession.objects.filter(name=name).exists() is not is_own
