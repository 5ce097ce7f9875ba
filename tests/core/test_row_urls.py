"""Addresses of rows are those that Django itself gives."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.urls import reverse, set_script_prefix

from kmes.core.row_urls import list_url, row_url


@pytest.fixture
def console_below_a_path():
    set_script_prefix("/console/")
    yield
    set_script_prefix("/")


def test_the_address_of_a_row_is_the_one_that_django_gives():
    for view in ("keygroups:key_detail", "keygroups:key_actions", "keygroups:key_inspector", "keygroups:group_actions"):
        for row_id in (uuid4(), uuid4()):
            assert row_url(view, row_id) == reverse(view, args=[row_id])
    assert list_url("keygroups:keys") == reverse("keygroups:keys")


def test_a_console_below_a_path_has_its_own_addresses(console_below_a_path):
    row_id = uuid4()
    assert row_url("keygroups:key_detail", row_id) == reverse("keygroups:key_detail", args=[row_id])
    assert row_url("keygroups:key_detail", row_id).startswith("/console/")
    assert list_url("keygroups:keys").startswith("/console/")
