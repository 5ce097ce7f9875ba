"""Several users at once: each is changed by itself, and who is left out is named with the reason."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from kmes.accounts.models import ConsoleSession, User
from logging_reports.models import LogEntry
from tests.people import FRAGMENT, body, pages, people, static_root

__all__ = ["pages", "people", "static_root"]
pytestmark = pytest.mark.django_db


def act(name: str) -> str:
    return reverse("accounts:users_act", args=[name])


def picked(*users: User, **more) -> dict[str, object]:
    return {"key": [str(user.pk) for user in users], **more}


@pytest.fixture
def operators(db):
    return [User.objects.create_user(name, role="operator") for name in ("ann", "bob", "cem")]


@pytest.fixture
def admin(people, client):
    client.force_login(people["admin"])
    return people["admin"]


def test_several_users_are_deactivated_and_who_is_left_out_is_named(client, admin, operators):
    User.objects.filter(username="cem").update(is_active=False)
    page = client.post(act("deactivate"), picked(*operators, admin, ask="1"))
    assert "Deactivate 2 users" in body(page)
    assert "Left out: Deactivated already" in body(page)
    assert User.objects.filter(role="operator", is_active=True, username__in=["ann", "bob"]).count() == 2
    answer = client.post(act("deactivate"), picked(*operators, admin), follow=True)
    assert "2 users are deactivated." in body(answer)
    assert "2 were left out" in body(answer)
    assert "cem: Deactivated already" in body(answer)
    assert f"{admin}: Users can&#x27;t deactivate themselves" in body(answer)
    assert LogEntry.objects.filter(event="user.deactivated").count() == 2
    assert User.objects.get(pk=admin.pk).is_active


def test_who_was_left_out_on_the_page_stays_left_out(client, admin, operators):
    User.objects.filter(username="ann").update(is_active=False)
    page = body(client.post(act("reactivate"), picked(*operators, ask="1")))
    carried = re.findall(r'name="key" value="(\d+)"', page)
    # Somebody deactivates bob while the page is open: nobody meant to wake him.
    User.objects.filter(username="bob").update(is_active=False)
    client.post(act("reactivate"), {"key": carried})
    assert set(User.objects.filter(username__in=["ann", "bob", "cem"], is_active=True)) == {operators[0], operators[2]}


def test_several_users_are_reactivated_and_their_passwords_are_shown_once(client, admin, operators):
    User.objects.filter(username__in=["ann", "bob"]).update(is_active=False)
    answer = client.post(act("reactivate"), picked(*operators))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert "cem: Active already" in body(answer)
    for name in ("ann", "bob"):
        user = User.objects.get(username=name)
        assert user.is_active
        assert user.must_change_password


def test_the_sessions_of_several_users_end_but_the_own_one_stays(client, admin, operators):
    for user in operators[:2]:
        Client().force_login(user)
    page = client.post(act("end-sessions"), picked(*operators, admin, ask="1"))
    assert "cem" in body(page)
    assert "No session is open" in body(page)
    assert client.post(act("end-sessions"), picked(*operators, admin)).status_code == 302
    assert set(ConsoleSession.objects.values_list("user__username", flat=True)) == {admin.username}
    assert LogEntry.objects.filter(event="access.session_ended", severity="warning").count() == 2


def test_the_list_has_boxes_and_a_menu_for_who_may_manage_users(client, people, admin, operators):
    assert "data-check-row" in body(client.get("/users/"))
    menu = body(client.post(reverse("accounts:users_actions"), picked(*operators), **FRAGMENT))
    assert "Actions for 3 users" in menu
    assert f'data-selection-url="{act("deactivate")}"' in menu
    client.force_login(people["auditor"])
    assert "data-check-row" not in body(client.get("/users/"))
    assert client.post(act("deactivate"), picked(*operators)).status_code == 403


@pytest.mark.parametrize("sent", [{}, {"key": ["x", "999999", "9" * 30]}])
def test_nobody_selected_changes_nothing(client, admin, sent):
    assert client.post(act("deactivate"), sent).status_code == 400
    assert client.get(act("nonsense")).status_code == 404
