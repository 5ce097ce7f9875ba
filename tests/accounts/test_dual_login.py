"""A second administrator signs in before a session may act: pages, header, log, time box and policy."""

from __future__ import annotations

import csv
import html
import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client

from kmes.accounts import acting_views
from kmes.accounts.dual_login.models import DualLoginPolicy, SecondSignIn
from kmes.accounts.dual_login.policy import read_policy
from kmes.accounts.models import ConsoleSession, CustomRole, User
from kmes.core.clock import now
from logging_reports.chain import has_valid_hash
from logging_reports.models import LogEntry
from logging_reports.offline import verify_lines
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
from tests.accounts.passkey_pages import ORIGIN, add_passkey, options
from tests.attacks.permission_table import ROWS
from tests.authenticator import Authenticator
from tests.logging_reports.signer import Signer
from tests.people import FRAGMENT, body

__all__ = ["clock"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def users(clock):
    """Three administrators with apps."""
    made = {name: make_user(name) for name in ("ada", "bob", "cy")}
    clock.shift(STEP)
    return made


@pytest.fixture
def browser(users, clock):
    """Ada's browser, in a console where the log is forwarded by two administrators."""
    turn_on(users["ada"])
    client = sign_in("ada")
    clock.shift(STEP)
    return client


def last(event):
    return LogEntry.objects.filter(event=event).order_by("sequence").last()


# --- The act -------------------------------------------------------------------------------------
def test_a_form_waits_for_a_second_administrator_and_is_filled_in_again(browser):
    page = browser.post("/users/add/", USER, HTTP_REFERER="http://testserver/users/add/").url
    assert page == f"{SIGN_IN}?next=/users/add/"
    assert "A second administrator signs in" in body(browser.get(page))
    assert not User.objects.filter(username="eve").exists()
    step = with_password(browser, "bob").url
    assert step == f"{FACTOR}?next=/users/add/"
    answer = with_code(browser, "bob")
    assert answer.url == "/users/add/"
    back = body(browser.get(answer.url))
    assert "Nothing was carried out yet" in back
    assert '"eve"' in html.unescape(back)
    assert browser.post("/users/add/", USER).status_code == 200
    assert User.objects.filter(username="eve").exists()


def test_pages_and_what_is_ones_own_ask_nobody(browser):
    for path in ("/", "/users/", "/users/add/", "/logs/", "/forwarding/add/", POLICY, "/healthz"):
        assert browser.get(path).status_code == 200, path
    assert browser.post("/preferences/colours/", {"colours": "dark"}).status_code in {204, 302}
    assert "/dual-login/" not in browser.post("/profile/password/", {}).get("Location", "")
    assert browser.post("/logout/").url == "/login/"


def test_a_dialog_leads_the_whole_page_there(browser):
    assert browser.post("/users/add/", USER, **FRAGMENT)["HX-Redirect"].startswith(SIGN_IN)


def test_the_header_names_both_until_when_and_ends_it(browser, clock):
    join(browser, "bob")
    page = body(browser.get("/users/"))
    until = SecondSignIn.objects.get().until
    assert "With bob" in page
    assert f"until {until:%H:%M} UTC" in page
    assert browser.get(END).status_code == 405
    assert browser.post(f"{END}?next=/users/").url == "/users/"
    assert "With bob" not in body(browser.get("/users/"))
    assert not adds_user(browser)
    row = last("access.second_ended")
    assert (row.actor_name, row.data["second_administrator"]) == ("ada", "bob")


def test_time_passes_while_a_form_is_filled_in(browser, clock):
    join(browser, "bob")
    assert browser.get("/users/add/").status_code == 200
    clock.shift(timedelta(minutes=4))
    assert adds_user(browser)
    clock.shift(timedelta(minutes=11))
    assert browser.post("/profile/second-factor/confirm/", {"code": code_of("ada")}).url == "/"
    assert not adds_user(browser)
    assert "With bob" not in body(browser.get("/users/"))


def test_a_role_whose_users_change_nothing_alone(users, clock):
    make_user("dan", "custodian")
    clock.shift(STEP)
    turn_on(users["ada"], actions=frozenset(), roles=frozenset({"custodian"}))
    browser = sign_in("dan")
    clock.shift(STEP)
    assert browser.get("/keys/").status_code == 200
    assert browser.post("/keys/groups/add/", {"name": "first"}).url.startswith(SIGN_IN)
    join(browser, "bob")
    assert "/dual-login/" not in browser.post("/keys/groups/add/", {"name": "first"}).get("Location", "")
    # It gives no right of the administrator.
    assert browser.post("/users/add/", USER).status_code == 403


def test_an_export_needs_somebody_only_where_exporting_does(browser, users, clock):
    assert browser.get("/logs/export.csv?service=audit").status_code == 200
    join(browser, "bob")
    clock.shift(STEP)
    turn_on(users["ada"], actions=frozenset({"log_export"}))
    assert browser.get("/logs/export.csv?service=audit").url == f"{SIGN_IN}?next=/logs/%3Fservice%3Daudit"


def test_a_passkey_is_the_second_factor_of_the_second(browser, clock):
    key, bobs = Authenticator(), sign_in("bob")
    assert add_passkey(bobs, key).status_code == 302
    with_password(browser, "bob")
    assert "Use a passkey" in body(browser.get(FACTOR))
    answer = key.get(options(browser, f"{FACTOR}options/"), origin=ORIGIN)
    assert browser.post(f"{FACTOR}?next=/users/add/", {"passkey": answer}).url == "/users/add/"
    assert adds_user(browser)
    assert last("access.second_signed_in").data["second_factor"] == "passkey"


# --- The log -------------------------------------------------------------------------------------
def test_the_log_its_pages_and_its_file_name_both(browser):
    join(browser, "bob")
    browser.post("/users/add/", USER)
    row = last("user.created")
    assert (row.actor_name, row.second_administrator) == ("ada", "bob")
    assert row.data["second_administrator_id"] == User.objects.get(username="bob").pk
    assert has_valid_hash(row)
    row.data = {**row.data, "second_administrator": "cy"}
    assert not has_valid_hash(row)
    assert "ada with bob" in body(browser.get("/logs/?service=audit"))
    assert "<dt>Second administrator</dt>" in body(browser.get(f"/logs/audit/{row.sequence}/"))
    exported = b"".join(browser.get("/logs/export.csv?service=audit").streaming_content).decode("utf-8-sig")
    lines = [line for line in csv.DictReader(io.StringIO(exported)) if line["event"] == "user.created"]
    assert '"second_administrator":"bob"' in lines[-1]["data"]


def test_the_offline_check_of_a_file_covers_both_names(browser):
    join(browser, "bob")
    browser.post("/users/add/", USER)
    signer = Signer()
    anchor = signer.make_checkpoint().anchor.verify()
    file = b"".join(browser.get("/logs/export.jsonl?service=audit").streaming_content).decode()
    forged = file.replace('"second_administrator":"bob"', '"second_administrator":"cy"')
    for text, has_faults in ((file, False), (forged, True)):
        verdict = verify_lines(text.splitlines(keepends=True), anchor=anchor, keys=[signer.key], is_filtered=False)
        assert bool(verdict.faults) is has_faults, verdict.faults
    assert forged != file


def test_the_sign_in_and_each_failure_are_logged(browser):
    with_password(browser, "bob", "wrong")
    assert "“bob” was not signed in besides ada: wrong name or password" in last("access.second_refused").message
    join(browser, "bob")
    row = last("access.second_signed_in")
    assert row.message.startswith("bob signed in besides ada until ")
    assert (row.actor_name, row.second_administrator, row.data["second_factor"]) == ("ada", "bob", "authenticator app")
    assert ConsoleSession.objects.filter(user__username="bob").count() == 0, "they get no session"


# --- The policy ----------------------------------------------------------------------------------
def settings_of(**values):
    present = {"second_roles": ["admin"], "minutes": 15, "lock_version": read_policy().lock_version}
    return {**present, **values}


def test_it_is_turned_on_by_a_page_and_logged_with_old_and_new(users, clock):
    browser = sign_in("ada")
    assert "Off" in body(browser.get(POLICY))
    assert browser.post(POLICY, settings_of(roles=["operator"], actions=["cloud_purge"])).status_code == 302
    row = last("access.dual_login_changed")
    assert (row.severity, row.message) == (
        "warning",
        "Dual login changed from off to [roles: Operator; actions: Purging deleted keys from a vault; by Administrator; for 15 minutes]",
    )
    clock.shift(STEP)
    # From now on nobody turns it off alone.
    assert browser.post(POLICY, settings_of()).url.startswith(SIGN_IN)
    join(browser, "cy")
    assert browser.post(POLICY, settings_of(minutes=30)).status_code == 302
    assert not read_policy().is_on
    assert last("access.dual_login_changed").second_administrator == "cy"


def test_it_asks_for_the_second_factor_again(users, clock):
    browser = sign_in("ada")
    clock.shift(timedelta(minutes=6))
    assert browser.get(POLICY).url.startswith("/profile/second-factor/confirm/")


@pytest.mark.parametrize("missing", ["app", "password", "active", "role"])
def test_it_is_refused_while_fewer_than_two_others_could_serve(missing, users, clock):
    bob = User.objects.filter(username="bob")
    if missing == "app":
        users["bob"].authenticator_app.delete()
    elif missing == "password":
        bob.update(one_time_until=now() + timedelta(hours=1))
    elif missing == "active":
        bob.update(is_active=False)
    else:
        bob.update(role="auditor")
    answer = sign_in("ada").post(POLICY, settings_of(actions=["cloud_purge"]))
    assert answer.status_code == 422
    assert "at least 2 users have to be able to sign in" in body(answer)
    assert "At present: cy." in body(answer)
    assert not DualLoginPolicy.objects.exists()


@pytest.mark.parametrize("values", [{"minutes": 4}, {"minutes": 61}, {"second_roles": []}, {"actions": ["access"]}])
def test_values_out_of_bounds_are_refused(values, users):
    assert sign_in("ada").post(POLICY, settings_of(roles=["admin"], **values)).status_code == 422
    assert not read_policy().is_on


def test_who_saw_an_older_policy_changes_nothing(users, clock):
    browser = sign_in("ada")
    stale = settings_of(actions=["cloud_purge"])
    browser.post(POLICY, stale)
    clock.shift(STEP)
    join(browser, "cy")
    assert browser.post(POLICY, stale | {"minutes": 60}).status_code == 422
    assert read_policy().minutes == 15


def test_a_change_signs_the_second_administrators_out(browser):
    join(browser, "bob")
    browser.post(POLICY, settings_of(actions=["forwarding"], minutes=20))
    assert not SecondSignIn.objects.exists()


def test_a_role_that_it_names_is_not_deleted(browser, users, clock):
    role = CustomRole.objects.create(code="role-1", name="Keepers", rights=[], changed_at=now())
    turn_on(users["ada"], roles=frozenset({role.code}))
    join(browser, "bob")
    assert browser.post("/roles/role-1/delete/").status_code == 409
    assert "Dual login demands a second administrator of its users." in body(browser.get("/roles/role-1/"))


def test_the_server_s_shell_turns_it_off(browser, capsys):
    call_command("dual_login_off")
    assert adds_user(browser)
    assert last("access.dual_login_changed").actor_name == "system"
    call_command("dual_login_off")
    assert "was off already" in capsys.readouterr().out


def test_without_a_policy_nothing_is_asked_and_the_page_leads_on(users):
    browser = sign_in("ada")
    assert browser.get(f"{SIGN_IN}?next=/users/").url == "/users/"
    assert adds_user(browser)


# --- What it covers ------------------------------------------------------------------------------
def test_no_form_that_needs_a_right_is_exempt_but_break_glass_and_those_that_change_nothing():
    harmless = {"keygroups:preview", "keygroups:vaults", "approvals:break_glass_options"}
    exempt = {
        row.view
        for row in ROWS
        if "POST" in row.methods
        and any(need != {"console.read"} for need in row.need.rights)
        and not acting_views.acts(row.view, method="POST")
    }
    assert exempt - {"logs:filter_save", "logs:filter_delete"} == harmless | {"approvals:break_glass"}


def test_signing_in_needs_the_password_too(browser):
    assert browser.get(FACTOR).url == f"{SIGN_IN}?next=/"
    assert with_code(browser, "bob").url.startswith(SIGN_IN)
    assert Client().get(SIGN_IN).url.startswith("/login/")
    assert PASSWORD not in body(with_password(browser, "nobody"))
