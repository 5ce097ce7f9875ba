"""Saved filters: private or shared, named once per owner, logged when kept and when deleted."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from logging_reports.models import LogEntry, SavedFilter

pytestmark = pytest.mark.django_db
SAVE = "/logs/filters/save/"
FAILED = "service=azure&severity=error&range=24h"


def signed_in(name: str, role: str = "auditor") -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_user(name, role=role))
    return client


@pytest.fixture
def ann():
    return signed_in("ann")


def save(client: Client, name: str = "Failures", **values):
    return client.post(f"{SAVE}?{FAILED}&nonsense=1", {"name": name, **values})


def test_a_filter_is_kept_under_its_name_and_offered_again(ann):
    answer = save(ann)
    assert answer.headers["Location"] == f"/logs/?{FAILED}"
    body = ann.get("/logs/").content.decode()
    assert "Failures" in body
    assert f'href="/logs/?{FAILED.replace("&", "&amp;")}"' in body
    assert SavedFilter.objects.get().query == FAILED
    row = LogEntry.objects.get(event="log.filter_saved")
    assert (row.actor_name, row.data["filter"], row.data["shared"]) == ("ann", FAILED, False)


def test_a_private_filter_is_its_owners_and_a_shared_one_everybodys(ann):
    save(ann, "mine")
    save(ann, "ours", is_shared="on")
    bob = signed_in("bob", "operator")
    body = re.sub(r"\s+", " ", bob.get("/logs/").content.decode())
    assert "shared by ann" in body
    assert "mine" not in body
    mine, ours = SavedFilter.objects.order_by("name")
    assert bob.get(f"/logs/filters/{mine.pk}/delete/").status_code == 404
    assert bob.post(f"/logs/filters/{mine.pk}/delete/").status_code == 404
    assert bob.post(f"/logs/filters/{ours.pk}/delete/").status_code == 403
    assert SavedFilter.objects.count() == 2


def test_its_owner_deletes_a_filter_and_an_administrator_a_shared_one(ann):
    save(ann, "mine")
    save(ann, "ours", is_shared="on")
    mine, ours = SavedFilter.objects.order_by("name")
    assert "rows are kept" in ann.get(f"/logs/filters/{mine.pk}/delete/").content.decode()
    assert ann.post(f"/logs/filters/{mine.pk}/delete/").status_code == 302
    assert signed_in("root", "admin").post(f"/logs/filters/{ours.pk}/delete/").status_code == 302
    assert not SavedFilter.objects.exists()
    deleted = LogEntry.objects.filter(event="log.filter_deleted").order_by("sequence")
    assert [row.actor_name for row in deleted] == ["ann", "root"]


def test_a_name_serves_once_per_owner_in_any_case(ann):
    save(ann)
    answer = save(ann, "FAILURES")
    assert answer.status_code == 422
    assert "of this name already" in answer.content.decode()
    assert save(signed_in("bob")).status_code == 302
    assert SavedFilter.objects.count() == 2


def test_a_filter_that_can_not_be_used_is_not_saved(ann):
    assert ann.get(f"{SAVE}?since=yesterday").status_code == 400
    assert save(ann, "").status_code == 422
    assert not SavedFilter.objects.exists()


def test_the_dialog_is_a_piece_of_page_and_names_the_filter(ann):
    body = ann.get(f"{SAVE}?{FAILED}", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in body
    assert "Severity: Critical" in body
    answer = ann.post(f"{SAVE}?{FAILED}", {"name": "x"}, headers={"HX-Request": "true"})
    assert answer["HX-Redirect"] == f"/logs/?{FAILED}"


def test_hostile_names_are_shown_and_do_nothing(ann):
    save(ann, "<script>\u202e")
    body = ann.get("/logs/").content.decode()
    assert "&lt;script&gt;\\u202e" in body
    assert "\u202e" not in body
