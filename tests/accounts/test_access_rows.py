"""Rows of the Audit log about access: who, from which address, in which session; refusals and lock-outs too."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from kmes.accounts.models import User
from logging_reports.models import LogEntry
from tests.people import people, static_root

__all__ = ["people", "static_root"]
pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"


def rows(event):
    return list(LogEntry.objects.filter(event=event).order_by("sequence"))


def test_rows_of_one_session_name_it_without_giving_its_key_away():
    User.objects.create_user("eve", password=PASSWORD, role="auditor")
    client = Client(REMOTE_ADDR="192.0.2.7")
    client.post("/login/", {"username": "eve", "password": PASSWORD})
    key = client.session.session_key
    client.post(reverse("operations:save_options"))
    client.post("/logout/")
    found = [*rows("access.login"), *rows("access.refused"), *rows("access.logout")]
    assert [row.event for row in found] == ["access.login", "access.refused", "access.logout"]
    assert {row.data["address"] for row in found} == {"192.0.2.7"}
    assert found[0].message == "Signed in from 192.0.2.7"
    (session,) = {row.data["session"] for row in found}
    assert len(session) == 32
    assert key not in str([row.data for row in found])


def test_a_refused_access_is_one_row_however_often_it_is_tried(client, people):
    client.force_login(people["auditor"])
    for _time in range(5):
        assert client.post(reverse("operations:save_options")).status_code == 403
    (row,) = rows("access.refused")
    assert row.actor_name == people["auditor"].username
    assert "Configuration:Manage" in row.message


def test_a_lock_out_is_one_row_however_often_it_is_tried():
    User.objects.create_user("eve", password=PASSWORD, role="auditor")
    for _time in range(8):
        Client(REMOTE_ADDR="192.0.2.7").post("/login/", {"username": "eve", "password": "wrong"})
    (row,) = rows("access.locked")
    assert "“eve” is locked for the address 192.0.2.7" in row.message
