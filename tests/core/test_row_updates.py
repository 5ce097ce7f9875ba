"""Rows that get values of their own by one prepared statement."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kmes.accounts.models import User
from kmes.core.row_updates import update_each

pytestmark = pytest.mark.django_db


def test_each_row_gets_its_own_values_and_others_stay():
    rows = [User.objects.create(username=f"user{number}") for number in range(3)]
    for row in rows:
        row.first_name, row.last_name = f"First of {row.username}", "not written"
    update_each(rows[:2], ["first_name"])
    found = User.objects.filter(username__startswith="user").order_by("username")
    assert list(found.values_list("first_name", "last_name")) == [
        ("First of user0", ""),
        ("First of user1", ""),
        ("", ""),
    ]


def test_nothing_is_written_for_no_rows_or_no_fields():
    with CaptureQueriesContext(connection) as queries:
        update_each([], ["first_name"])
        update_each([User(username="user")], [])
    assert len(queries) == 0
