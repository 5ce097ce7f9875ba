"""Signing in at the company's identity provider: users, their roles, their second factor, and the end of their sessions."""

from __future__ import annotations

import html
import time
from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from kmes.accounts.company_sign_on.models import SignOnIdentity
from kmes.accounts.models import ConsoleSession, User
from kmes.accounts.second_factor import services as second_factor
from kmes.accounts.second_factor import totp
from kmes.core.actor import Actor
from kmes.core.clock import now
from logging_reports.models import LogEntry
from logging_reports.notices.models import Notice
from tests.accounts.sign_on_pages import LOGOUT, START, begin, is_in, provider, running, save, sign_in
from tests.people import body

__all__ = ["provider", "running"]
pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
CONFIRM = "/profile/second-factor/confirm/"
LONG = timedelta(minutes=6)


def row(event: str) -> LogEntry:
    return LogEntry.objects.filter(event=event).latest("sequence")


def add_app(user, seed, *, session_key=""):
    with time_machine.travel(now() - timedelta(hours=1)):
        code = totp.code_at(seed, totp.step_of(now()))
        second_factor.add_app(user=user, seed=seed, code=code, session_key=session_key, actor=Actor.from_user(user))


# --- Signing in --------------------------------------------------------------------------------
def test_the_sign_in_page_has_a_button_and_the_password_stays(provider, client):
    page = body(client.get("/login/?next=/jobs/"))
    assert f'href="{START}?next=/jobs/"' in page
    assert "Sign in with Example" in page
    assert 'name="password"' in page


def test_switched_off_there_is_no_button_and_no_way(provider, client):
    save(provider, is_enabled=False)
    assert START not in body(client.get("/login/"))
    assert client.get(START).url.startswith("/login/?next=")


def test_the_first_sign_in_adds_a_user_with_the_role_of_the_group(provider):
    claims = {"given_name": "Ada", "email": "ada@example.com", "email_verified": True}
    client, answer = sign_in(provider, path=f"{START}?next=/jobs/", **claims)
    assert answer.url == "/jobs/"
    assert is_in(client)
    user = User.objects.get(username="ada")
    assert (user.role, user.first_name, user.email) == ("operator", "Ada", "ada@example.com")
    assert not user.has_usable_password()
    assert row("user.created").message == "User ada created by company sign-on as Operator"


def test_the_log_row_of_the_sign_in_says_how(provider):
    sign_in(provider, amr=["pwd", "otp"], acr="urn:example:2")
    data = row("access.login").data
    assert (data["method"], data["amr"], data["acr"]) == ("company sign-on", ["pwd", "otp"], "urn:example:2")


def test_the_session_has_another_key_than_the_browser_brought(provider, client):
    client.get("/login/")
    session = client.session
    session["anything"] = 1
    session.save()
    before = session.session_key
    sign_in(provider, client)
    assert is_in(client)
    assert client.session.session_key != before


def test_the_account_stays_the_same_under_another_name_and_mail_address(provider):
    sign_in(provider)
    sign_in(provider, preferred_username="countess", email="other@example.com", email_verified=True)
    assert list(User.objects.values_list("username", flat=True)) == ["ada"]
    sign_in(provider, sub="another", preferred_username="ada.two")
    assert User.objects.count() == 2


def test_roles_follow_the_groups_at_each_sign_in(provider, django_user_model):
    django_user_model.objects.create_user("boss", role="admin")
    sign_in(provider, groups=["kmes-admins", "kmes-auditors"])
    assert User.objects.get(username="ada").role == "admin"
    sign_in(provider, groups="kmes-auditors")
    assert User.objects.get(username="ada").role == "auditor"
    assert row("user.updated").data["changes"] == {"role": ["admin", "auditor"]}


def test_the_last_administrator_does_not_become_something_else(provider):
    sign_in(provider, groups=["kmes-admins"])
    _client, answer = sign_in(provider, groups=["kmes-auditors"])
    assert answer.status_code == 403
    assert "last administrator" in body(answer)
    assert User.objects.get(username="ada").role == "admin"


@pytest.mark.parametrize("groups", [["others"], [], None, "kmes", {"kmes-admins": 1}])
def test_without_a_group_that_counts_nobody_gets_in(provider, groups):
    client, answer = sign_in(provider, groups=groups)
    assert answer.status_code == 403
    assert "may not use this console" in body(answer)
    assert not is_in(client)
    assert not User.objects.exists()
    assert "no role" in row("access.login_failed").message


def test_who_left_the_group_loses_the_open_sessions(provider):
    client, _answer = sign_in(provider)
    sign_in(provider, groups=["others"])
    assert not is_in(client)


def test_users_without_a_group_get_a_role_where_the_settings_say_so(provider):
    save(provider, unmatched_role="auditor")
    assert is_in(sign_in(provider, groups=[])[0])
    assert User.objects.get().role == "auditor"


def test_a_deactivated_user_is_refused(provider):
    sign_in(provider)
    User.objects.update(is_active=False)
    client, answer = sign_in(provider)
    assert "deactivated" in body(answer)
    assert not is_in(client)


def test_a_local_user_of_the_same_name_is_not_taken_over(provider, django_user_model):
    local = django_user_model.objects.create_user("Ada", password=PASSWORD, role="operator")
    client, answer = sign_in(provider)
    assert answer.status_code == 403
    assert not is_in(client)
    assert not SignOnIdentity.objects.exists()
    save(provider, may_link=True)
    assert is_in(sign_in(provider, groups=["kmes-admins"])[0])
    local.refresh_from_db()
    assert (SignOnIdentity.objects.get().user, local.role) == (local, "admin")
    assert Notice.objects.filter(event="user.linked", user_id=None).exists()
    # Linked once, to one account.
    assert sign_in(provider, sub="another")[1].status_code == 403


@pytest.mark.parametrize("name", ["", "a b", "x" * 151, 7, "a\nb"])
def test_a_name_that_no_user_can_have_makes_none(provider, name):
    assert sign_in(provider, preferred_username=name)[1].status_code == 403
    assert not User.objects.exists()


def test_several_tabs_of_a_browser_come_back_in_any_order(provider, client):
    first, second = begin(client), begin(client, f"{START}?next=/jobs/")
    assert client.get(provider.authorize(second)).url == "/jobs/"
    assert client.get(provider.authorize(first)).url == "/"


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_way_back_never_leads_elsewhere(provider, wanted):
    assert sign_in(provider, path=f"{START}?next={wanted}")[1].url == "/"


def test_the_provider_s_refusal_is_shown_in_words(provider, client):
    back = provider.authorize(begin(client)).replace("code=", "error=access_denied&was=")
    answer = client.get(back)
    assert answer.status_code == 403
    assert "did not sign you in" in body(answer)
    assert "access_denied" in row("access.login_failed").message


def test_a_provider_that_is_away_is_named_and_locks_nobody_out(provider, settings):
    settings.KMES_SIGN_IN_TRIES_PER_ADDRESS = 3
    provider.status = 503
    for _ in range(5):
        answer = Client().get(START)
        assert (answer.status_code, "can't be reached" in html.unescape(body(answer))) == (503, True)
    # After a failure it is left alone for a while.
    assert provider.asked.count("/.well-known/openid-configuration") == 1
    assert Client().post("/login/", {"username": "x", "password": "y"}).status_code == 200


def test_a_provider_that_takes_the_secret_in_the_form_only_gets_it_there(provider):
    provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    assert is_in(sign_in(provider)[0])


def test_no_token_and_no_secret_stands_in_the_log(provider):
    sign_in(provider)
    provider.make_token = lambda claims: provider.sign({**claims, "aud": "somebody else"})
    sign_in(provider)
    texts = " ".join(f"{each.message} {each.data}" for each in LogEntry.objects.all())
    assert not [found for found in ("eyJ", "s3cret", "access-token") if found in texts]


# --- Second factor and step-up -----------------------------------------------------------------
def test_a_second_factor_at_the_provider_counts_where_the_settings_name_it(provider, settings):
    settings.KMES_SECOND_FACTOR_ROLES = ["operator"]
    client, _answer = sign_in(provider, amr=["mfa"])
    assert client.get("/").url == "/profile/second-factor/"
    save(provider, factor_values=["mfa"])
    client, _answer = sign_in(provider, amr=["pwd", "mfa"])
    assert is_in(client)
    assert row("access.login").data["second_factor"] == "company sign-on"


def test_without_it_the_second_factor_of_this_console_is_asked_for(provider):
    sign_in(provider)
    user, seed = User.objects.get(), b"12345678901234567890"
    add_app(user, seed)
    client, answer = sign_in(provider, path=f"{START}?next=/jobs/")
    assert answer.url == "/login/second-factor/"
    assert not is_in(client)
    assert client.post(answer.url, {"code": totp.code_at(seed, totp.step_of(now()))}).url == "/jobs/"
    assert row("access.login").data["method"] == "company sign-on"
    assert ConsoleSession.objects.exclude(sign_on="").filter(user=user).exists()


@pytest.fixture
def admin(provider):
    return sign_in(provider, groups=["kmes-admins"])[0]


def test_before_a_dangerous_act_the_provider_asks_again(provider, admin):
    assert admin.get("/users/add/").url == f"{CONFIRM}?next=/users/add/"
    page = body(admin.get(f"{CONFIRM}?next=/users/add/"))
    assert f'href="{CONFIRM}company/?next=/users/add/"' in page
    address = begin(admin, f"{CONFIRM}company/?next=/users/add/")
    assert "prompt=login" in address
    assert "max_age=0" in address
    assert admin.get(provider.authorize(address)).url == "/users/add/"
    assert admin.get("/users/add/").status_code == 200


@pytest.mark.parametrize(
    "claims", [{"sub": "another"}, {"auth_time": int(time.time()) - 3600}, {"auth_time": None}, {"auth_time": "now"}]
)
def test_a_confirmation_by_somebody_else_or_by_an_old_sign_in_is_none(provider, admin, claims):
    address = begin(admin, f"{CONFIRM}company/?next=/users/add/")
    assert admin.get(provider.authorize(address, **claims)).status_code == 403
    assert admin.get("/users/add/").status_code == 302


def test_a_confirmation_needs_the_second_factor_that_the_settings_name(provider, admin):
    save(provider, factor_values=["mfa"])
    address = begin(admin, f"{CONFIRM}company/?next=/users/add/")
    assert admin.get(provider.authorize(address, amr=["pwd"])).status_code == 403
    address = begin(admin, f"{CONFIRM}company/?next=/users/add/")
    assert admin.get(provider.authorize(address, amr=["mfa"])).url == "/users/add/"


def test_the_company_s_password_does_not_stand_for_a_second_factor_of_this_console(provider, admin):
    begun = begin(admin, f"{CONFIRM}company/?next=/users/add/")
    add_app(User.objects.get(), b"12345678901234567890", session_key=admin.session.session_key)
    # An answer on its way when the factor was added, and another try.
    assert admin.get(provider.authorize(begun)).status_code == 403
    assert admin.get(f"{CONFIRM}company/?next=/users/add/").url == f"{CONFIRM}?next=/users/add/"
    assert admin.get("/users/add/").url == f"{CONFIRM}?next=/users/add/"


def test_an_answer_to_a_sign_in_confirms_nothing(provider, admin):
    other = Client()
    other.cookies = admin.cookies
    waiting = Client()
    address = begin(waiting)
    admin.cookies["kmes_sign_on"] = waiting.cookies["kmes_sign_on"].value
    assert admin.get(provider.authorize(address)).status_code == 302
    assert admin.get("/users/add/").status_code == 302


# --- Local users -------------------------------------------------------------------------------
def test_a_local_sign_in_is_an_alarm_where_passwords_are_for_emergencies(provider, django_user_model):
    django_user_model.objects.create_user("glass", password=PASSWORD, role="admin")
    Client().post("/login/", {"username": "glass", "password": PASSWORD})
    assert not LogEntry.objects.filter(event="access.break_glass").exists()
    save(provider, are_local_for_emergencies=True)
    Client().post("/login/", {"username": "glass", "password": PASSWORD})
    sign_in(provider)
    assert [each.actor_name for each in LogEntry.objects.filter(event="access.break_glass")] == ["glass"]
    assert row("access.break_glass").severity == "error"
    assert Notice.objects.get(event="access.break_glass").user_id is None


# --- Logout by the provider --------------------------------------------------------------------
def test_the_end_of_a_session_at_the_provider_ends_that_one_here(provider):
    there, _ = sign_in(provider, sid="one")
    here, _ = sign_in(provider, sid="two")
    answer = Client().post(LOGOUT, {"logout_token": provider.logout_token(sub="subject-of-ada", sid="one")})
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert (is_in(there), is_in(here)) == (False, True)
    assert row("access.provider_logout").message == "ada signed out at the identity provider; sessions ended"


def test_a_logout_of_the_account_ends_all_that_began_there_and_no_other(provider, django_user_model):
    clients = [sign_in(provider, sid="one")[0], sign_in(provider)[0]]
    others, local = sign_in(provider, sub="another", preferred_username="eve")[0], Client()
    local.force_login(User.objects.get(username="ada"))
    Client().post(LOGOUT, {"logout_token": provider.logout_token(sub="subject-of-ada")})
    assert [is_in(each) for each in (*clients, others, local)] == [False, False, True, True]


def test_a_session_that_the_provider_did_not_name_ends_with_any_of_its_account(provider):
    """Some providers name the session in the logout token only."""
    nameless, other = sign_in(provider)[0], sign_in(provider, sub="another", preferred_username="eve")[0]
    named = sign_in(provider, sid="two")[0]
    Client().post(LOGOUT, {"logout_token": provider.logout_token(sub="subject-of-ada", sid="one")})
    assert [is_in(each) for each in (nameless, named, other)] == [False, True, True]
