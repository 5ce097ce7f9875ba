"""The custody map and the rotation calendar: what they show in words, where they lead, and what they cost."""

from __future__ import annotations

import html
import re
from datetime import UTC, timedelta

import pytest
import time_machine
from django.core.management import call_command

from cloudcreds.models import CloudCredential
from keygroups import custody
from keygroups.models import KeyGroup
from kmes.core.clock import now
from tests.cloudcreds.conftest import admin, credential, device_row, mfk, people
from tests.dashboard.test_setup import make_pushed, make_vault
from tests.people import body, pages

__all__ = ["admin", "credential", "device_row", "mfk", "pages", "people"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def version(credential, device_row):
    """A group in a vault, with its pushed key."""
    made = make_pushed(make_vault(credential))
    KeyGroup.objects.filter(pk=made.group_id).update(cloud_state="live")
    return made


def told(page: str) -> str:
    return html.unescape(re.findall(r"<desc [^>]*>(.*?)</desc>", page, re.DOTALL)[0])


def names(page: str) -> list[str]:
    return [html.unescape(name) for name in re.findall(r'<a href="[^"]*"><title>([^<]*)</title>', page)]


# --- Custody map -----------------------------------------------------------------------------
def test_the_custody_map_names_the_way_of_the_keys(pages, version):
    page = body(pages.get("/keys/custody/"))
    assert "1 credential, 1 vault, 1 key group with 1 key." in told(page)
    assert "payments: 1 key group, 1 key" in names(page)
    assert f'href="/keys/?group={version.group_id}"' in page
    assert f"vault={version.vault_id}" in page


def test_the_worst_state_reaches_every_box_above_it(pages, version):
    KeyGroup.objects.update(differences=2)
    page = body(pages.get("/keys/custody/"))
    assert "Worst state: In the vault, differs." in told(page)
    assert [name for name in names(page) if "differs" not in name] == []
    KeyGroup.objects.update(next_due_at=now() - timedelta(days=1), rotate=True)
    assert "Rotation late" in told(body(pages.get("/keys/custody/")))


def test_many_groups_are_bins_that_filter_the_keys_view(pages, version, monkeypatch):
    monkeypatch.setattr(custody, "MOST_GROUPS", 0)
    KeyGroup.objects.update(owner="hr & pay")
    assert 'href="/keys/?view=state&amp;state=live"' in body(pages.get("/keys/custody/"))
    page = body(pages.get("/keys/custody/?by=owner"))
    assert 'href="/keys/?q=hr+%26+pay"' in page
    assert pages.get("/keys/custody/?by=nonsense").status_code == 200
    monkeypatch.setattr(custody, "MOST_OWNERS", 0)
    assert ">Other owners<" in body(pages.get("/keys/custody/?by=owner"))


def test_a_name_is_shown_as_text_and_never_as_markup(pages, version):
    KeyGroup.objects.update(name="<script>alert(1)</script>")
    page = body(pages.get("/keys/custody/"))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


# --- Rotation calendar -----------------------------------------------------------------------
def test_the_calendar_counts_rotations_and_expiries_and_lists_a_day(pages, version):
    due = now() + timedelta(days=9)
    day = due.astimezone(UTC).date().isoformat()
    KeyGroup.objects.update(next_due_at=due, rotate=True)
    CloudCredential.objects.update(sign_in_expires_on=due.date())
    page = body(pages.get("/keys/calendar/"))
    assert told(page) == "1 rotation due and 1 expiry in 14 weeks; no day is overloaded."
    assert f"{day}: 1 rotation due, 1 expiry" in names(page)
    listed = body(pages.get(f"/keys/calendar/?day={day}")).partition('id="day"')[2]
    assert "payments" in listed
    assert "Secret or certificate of" in listed


@pytest.mark.parametrize("today", ["2026-11-23", "2026-11-22"], ids=["a Monday", "a Sunday"])
def test_a_rotation_in_ninety_days_is_on_the_calendar(today, pages, version):
    with time_machine.travel(f"{today}T12:00:00+00:00", tick=False):
        KeyGroup.objects.update(next_due_at=now() + timedelta(days=90), rotate=True)
        assert "1 rotation due" in told(body(pages.get("/keys/calendar/")))


def test_a_day_with_more_than_a_vault_takes_in_time_is_overloaded(pages, version, settings):
    settings.KMES_VAULT_CHANGES, settings.KMES_VAULT_WINDOW_SECONDS = 1, 900
    KeyGroup.objects.update(next_due_at=now() + timedelta(days=9), rotate=True)
    assert "1 day is overloaded" in told(body(pages.get("/keys/calendar/")))


@pytest.mark.parametrize("day", ["", "never", "2026-02-30", "0001-01-01", "9999-12-31", "20261206"])
def test_any_day_of_the_address_is_answered(day, pages, version):
    assert pages.get(f"/keys/calendar/?day={day}").status_code == 200


@pytest.mark.parametrize("page", ["/keys/custody/", "/keys/custody/?by=owner", "/keys/calendar/?day=2026-12-06"])
def test_a_picture_costs_few_queries_with_many_groups(page, pages, django_assert_max_num_queries):
    call_command("seed", groups=custody.MOST_GROUPS + 1, keys=60, logs=1, verbosity=0)
    pages.get(page)
    with django_assert_max_num_queries(12):
        assert pages.get(page).status_code == 200
