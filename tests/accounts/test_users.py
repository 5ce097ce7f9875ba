"""The Users pages: who may, what is refused, and that each change is one row of the Audit log."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from kmes.accounts.models import User
from kmes.accounts.rights import ROLE_RIGHTS, Right, Role
from kmes.accounts.role_descriptions import AREAS, ROLE_DESCRIPTIONS, role_matrix
from kmes.accounts.services import UserValues, deactivate_user, update_user
from kmes.core.actor import SYSTEM, Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from logging_reports import triggers
from logging_reports.models import LogEntry, LogHead
from logging_reports.services import LogWriteError, record
from tests.people import FRAGMENT, ROLES, body, pages, people, static_root

__all__ = ["pages", "people", "static_root"]
pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "another staple for the horse"


@pytest.fixture
def ops(db):
    return User.objects.create_user("ops", password=PASSWORD, role="operator")


def act(user, verb):
    return f"/users/{user.pk}/{verb}/"


def typed(**changes):
    return {"username": "eve", "first_name": "Eve", "last_name": "Doe", "email": "", "role": "operator", **changes}


def one_time(answer) -> str:
    found = re.search(r'one-time-password font-monospace">([a-z0-9-]+)<', body(answer))
    assert found, body(answer)
    return found[1]


def last_row() -> LogEntry:
    return LogEntry.objects.filter(service="audit").order_by("-sequence")[0]


def sign_in(password, name="eve"):
    client = Client()
    return client, client.post("/login/", {"username": name, "password": password})


# --- Reading ---------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ROLES)
def test_everybody_reads_users_and_roles_and_only_administrators_are_offered_changes(client, people, ops, role):
    assert client.get("/users/").status_code == 302
    client.force_login(people[role])
    for path in ("/users/", f"/users/{ops.pk}/", "/roles/", "/profile/"):
        page = body(client.get(path))
        assert ("/users/add/" in page or f"/users/{ops.pk}/edit/" in page) == (
            role == "admin" and path.startswith("/users/")
        ), path


def test_each_row_opens_its_menu_by_right_click_and_its_page_by_enter(pages, ops):
    page = body(pages.get("/users/"))
    row = re.search(rf'<tr[^>]*id="user-{ops.pk}"[^>]*>', page)[0]
    assert f'data-menu="/users/{ops.pk}/actions/"' in row
    assert f'data-open="/users/{ops.pk}/"' in row


def test_the_list_finds_and_filters(pages, ops):
    User.objects.create_user("gone", is_active=False)
    assert "gone" not in body(pages.get("/users/?show=active"))
    page = body(pages.get("/users/?show=deactivated"))
    assert 'id="user-' in page
    # As a word: a page's random tokens hold any three letters now and then.
    assert not re.search(r"\bops\b", page)
    assert "No user matches" in body(pages.get("/users/?q=nobody"))
    assert "the-admin" in body(pages.get("/users/?show=admins"))


def test_the_pages_stay_cheap(pages, ops):
    for number in range(30):
        User.objects.create_user(f"user-{number}")
    for path in ("/users/", f"/users/{ops.pk}/", f"/users/{ops.pk}/actions/", "/roles/", "/profile/"):
        with CaptureQueriesContext(connection) as queries:
            assert pages.get(path).status_code == 200
        assert len(queries) <= 12, path


# --- Adding ----------------------------------------------------------------------------------
def test_a_new_user_gets_a_one_time_password_that_is_shown_once_and_kept_nowhere(pages):
    answer = pages.post("/users/add/", typed(), **FRAGMENT)
    password = one_time(answer)
    assert answer["Cache-Control"] == "no-store"
    assert "http://testserver/login/" in body(answer)
    eve = User.objects.get(username="eve")
    assert (eve.role, eve.must_change_password, eve.check_password(password)) == ("operator", True, True)
    row = last_row()
    assert (row.event, row.actor_name) == ("user.created", "the-admin")
    assert password not in f"{row.message}{row.data}"
    assert password not in body(pages.get(f"/users/{eve.pk}/"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"username": "THE-ADMIN"}, "a user of this name already"),
        ({"username": "a b"}, "valid user name"),
        ({"role": "king"}, "valid choice"),
        ({"email": "no"}, "valid email"),
    ],
)
def test_a_user_that_can_not_be_is_refused_at_its_field(pages, changes, words):
    answer = pages.post("/users/add/", typed(**changes))
    assert answer.status_code == 422
    assert words in body(answer)
    assert not User.objects.filter(username="eve").exists()


def test_the_one_time_password_opens_only_the_page_that_replaces_it(pages):
    password = one_time(pages.post("/users/add/", typed()))
    client, answer = sign_in(password)
    assert answer.status_code == 302
    for path in ("/", "/jobs/", "/users/", "/profile/"):
        assert client.get(path)["Location"] == "/profile/password/", path
    assert client.get("/jobs/", **FRAGMENT)["HX-Redirect"] == "/profile/password/"
    # What the page polls for must not reload it under the fingers of who types.
    polled = client.get("/jobs/drawer/", **FRAGMENT, HTTP_HX_CURRENT_URL="http://testserver/profile/password/")
    assert (polled.status_code, polled.content) == (204, b"")
    page = body(client.get("/profile/password/"))
    assert "one-time password" in page
    change = {"old_password": password, "new_password1": password, "new_password2": password}
    assert "is the same as the current one" in body(client.post("/profile/password/", change))
    weak = client.post("/profile/password/", {**change, "new_password1": "short", "new_password2": "short"})
    assert set(weak.context["form"].errors) == {"new_password1"}
    change = {"old_password": password, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    # A second factor is offered next, and may be left out.
    offered = client.post("/profile/password/", change)["Location"]
    assert offered == "/profile/second-factor/?next=%2F"
    assert 'href="/">Continue without</a>' in body(client.get(offered))
    assert client.get("/").status_code == 200
    row = last_row()
    assert (row.event, row.actor_name) == ("user.password_changed", "eve")
    assert NEW_PASSWORD not in f"{row.message}{row.data}"


def test_a_one_time_password_runs_out(pages):
    password = one_time(pages.post("/users/add/", typed()))
    User.objects.filter(username="eve").update(one_time_until=now() - timedelta(minutes=1))
    client, answer = sign_in(password)
    assert "has run out" in body(answer)
    assert client.get("/").status_code == 302


# --- Changing --------------------------------------------------------------------------------
def test_a_changed_role_counts_at_once_and_the_log_says_from_what_to_what(pages, ops, client):
    values = typed(role="auditor")
    assert pages.post(act(ops, "edit"), values)["Location"] == f"/users/{ops.pk}/"
    ops.refresh_from_db()
    assert ops.role == "auditor"
    row = last_row()
    assert (row.event, row.data["changes"]["role"]) == ("user.updated", ["operator", "auditor"])
    # Saving the same again changes nothing and logs nothing.
    pages.post(act(ops, "edit"), values)
    assert last_row().sequence == row.sequence


def test_nobody_changes_their_own_role_or_shuts_themselves_out(pages, people):
    own = people["admin"]
    User.objects.create_user("second", role="admin")
    assert pages.post(act(own, "edit"), typed(role="auditor")).status_code == 302
    own.refresh_from_db()
    # The disabled field ignores what was sent.
    assert own.role == "admin"
    assert pages.post(act(own, "deactivate")).status_code == 409
    assert pages.post(act(own, "reset-password")).status_code == 409
    menu = body(pages.get(act(own, "actions"), **FRAGMENT))
    assert "deactivate themselves" in menu


def test_the_service_refuses_an_own_role_change_whoever_calls_it(people):
    own = people["admin"]
    with pytest.raises(ConflictError, match="own role"):
        update_user(user=own, values=UserValues(role="auditor"), actor=Actor.from_user(own))


def test_the_last_administrator_stays(people):
    """Also when the actor is somebody whose own account is about to go."""
    last = people["admin"]
    with pytest.raises(ConflictError, match="last active administrator"):
        update_user(user=last, values=UserValues(role="auditor"), actor=SYSTEM)
    with pytest.raises(ConflictError, match="last active administrator"):
        deactivate_user(user=last, actor=SYSTEM)
    User.objects.create_user("second", role="admin", is_active=False)
    with pytest.raises(ConflictError):
        deactivate_user(user=last, actor=SYSTEM)
    User.objects.create_user("third", role="admin")
    deactivate_user(user=last, actor=SYSTEM)
    assert not User.objects.get(pk=last.pk).is_active


def test_a_deactivated_user_is_out_at_once_and_comes_back_with_a_new_password(pages, ops):
    client, _answer = sign_in(PASSWORD, "ops")
    assert client.get("/").status_code == 200
    assert "signed out at once" in body(pages.get(act(ops, "deactivate"), **FRAGMENT))
    assert pages.post(act(ops, "deactivate")).status_code == 302
    assert client.get("/").status_code == 302
    assert last_row().event == "user.deactivated"
    assert pages.post(act(ops, "deactivate")).status_code == 409
    assert "Reactivate" in body(pages.get(act(ops, "actions"), **FRAGMENT))
    password = one_time(pages.post(act(ops, "reactivate")))
    assert last_row().event == "user.reactivated"
    assert "/login/" not in str(sign_in(password, "ops")[1].get("Location"))
    assert sign_in(PASSWORD, "ops")[1].status_code == 200


def test_a_reset_password_ends_the_sessions_of_the_user(pages, ops):
    client, _answer = sign_in(PASSWORD, "ops")
    password = one_time(pages.post(act(ops, "reset-password"), **FRAGMENT))
    assert client.get("/").status_code == 302
    assert sign_in(PASSWORD, "ops")[1].status_code == 200
    assert sign_in(password, "ops")[1].status_code == 302
    assert last_row().event == "access.login"
    assert LogEntry.objects.filter(event="user.password_reset").count() == 1


# --- Locked ----------------------------------------------------------------------------------
def test_a_locked_name_is_listed_and_unlocked_with_a_log_row(pages, ops):
    for _try in range(5):
        sign_in("wrong", "ops")
    assert sign_in(PASSWORD, "ops")[1].status_code == 429
    page = body(pages.get("/users/"))
    assert "Locked sign-ins" in page
    assert "127.0.0.1" in page
    assert "are forgotten" in body(pages.get("/users/unlock/?name=ops", **FRAGMENT))
    assert pages.post("/users/unlock/?name=ops").status_code == 302
    assert sign_in(PASSWORD, "ops")[1].status_code == 302
    assert LogEntry.objects.filter(event="user.unlocked", actor_name="the-admin").exists()
    assert "Locked sign-ins" not in body(pages.get("/users/"))
    assert pages.post("/users/unlock/?name=ops").status_code == 409


def test_four_failures_lock_nobody(pages, ops):
    for _try in range(4):
        sign_in("wrong", "ops")
    assert "Locked sign-ins" not in body(pages.get("/users/"))


@pytest.mark.parametrize("was_active", [True, False])
def test_from_the_servers_shell_a_user_gets_in_again(ops, was_active):
    User.objects.filter(pk=ops.pk).update(is_active=was_active)
    for _try in range(5):
        sign_in("wrong", "ops")
    out = StringIO()
    call_command("reset_password", "ops", stdout=out)
    name, password = out.getvalue().split()
    assert name == "ops"
    row = last_row()
    assert (row.event, row.actor_name) == ("user.password_reset" if was_active else "user.reactivated", "system")
    assert sign_in(password, "ops")[1].status_code == 302
    with pytest.raises(CommandError, match="no user"):
        call_command("reset_password", "nobody")


# --- Who may ---------------------------------------------------------------------------------
CHANGES = ("add/", "unlock/?name=x", "{pk}/edit/", "{pk}/deactivate/", "{pk}/reactivate/", "{pk}/reset-password/")


@pytest.mark.parametrize("role", ["custodian", "operator", "auditor"])
@pytest.mark.parametrize("path", CHANGES)
def test_others_change_nothing(client, people, ops, role, path):
    client.force_login(people[role])
    url = f"/users/{path.format(pk=ops.pk)}"
    assert client.get(url).status_code == 403
    assert client.post(url, typed()).status_code == 403
    ops.refresh_from_db()
    assert (ops.role, ops.is_active, ops.check_password(PASSWORD)) == ("operator", True, True)


@pytest.mark.parametrize("path", CHANGES)
def test_each_change_needs_the_token_of_the_form(people, ops, path):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["admin"])
    assert strict.post(f"/users/{path.format(pk=ops.pk)}", typed()).status_code == 403


def test_a_change_that_can_not_be_logged_does_not_happen(people, ops):
    """The log refuses to go on where its end is gone, as in a damaged database."""
    actor = Actor.from_user(people["admin"])
    record("access.login", actor=actor)
    triggers.remove(connection)
    LogHead.objects.filter(service="audit").delete()
    triggers.install(connection)
    with pytest.raises(LogWriteError):
        deactivate_user(user=ops, actor=actor)
    assert User.objects.get(pk=ops.pk).is_active


def test_the_matrix_explains_every_right_and_says_who_has_it(pages):
    explained = [right for _area, rights in AREAS for right in rights]
    assert sorted(explained) == sorted(Right)
    assert set(ROLE_DESCRIPTIONS) == set(Role)
    for _area, rows in role_matrix():
        for row in rows:
            assert row.held == tuple(row.right in ROLE_RIGHTS[role] for role in Role)
    page = body(pages.get("/roles/"))
    assert all(right.value in page for right in Right)
