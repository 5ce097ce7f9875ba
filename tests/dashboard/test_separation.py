"""What the console says where its processes share one user."""

from __future__ import annotations

import re

import pytest
from django.core.checks import run_checks

from kmes.core.separation import SeparationRecord, read_record, write_record
from tests.cloudcreds.conftest import people
from tests.people import pages

__all__ = ["pages", "people"]
pytestmark = pytest.mark.django_db
BLOCKED = "the folder /root (mode 0700) keeps other users out"


@pytest.fixture
def state(settings, tmp_path):
    settings.KMES_STATE_DIR = tmp_path
    return tmp_path


def words_of(pages) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", pages.get("/").content.decode()).split())


def warnings() -> list[str]:
    return [found.msg for found in run_checks(include_deployment_checks=True) if found.id == "kmes.W001"]


def test_nothing_is_said_where_no_supervisor_started_it(state, pages):
    assert read_record(state) is None
    assert "Process users" not in words_of(pages)
    assert warnings() == []


def test_separate_users_are_said_without_a_warning(state, pages):
    write_record(state, SeparationRecord("", is_warning=False))
    assert "Process users Separate" in words_of(pages)
    assert "can read the PIN" not in words_of(pages)
    assert warnings() == []


def test_a_start_by_an_ordinary_user_says_what_is_not_separated(state, pages):
    write_record(state, SeparationRecord("the start was not made as root", is_warning=False))
    said = words_of(pages)
    assert "Process users Not separated Every process can read the PIN: the start was not made as root." in said
    assert "All processes run as root" not in said
    assert len(warnings()) == 1


def test_a_start_as_root_that_could_not_separate_needs_attention_and_says_why(state, pages):
    write_record(state, SeparationRecord(BLOCKED, is_warning=True))
    assert f"All processes run as root and can read the PIN ({BLOCKED})" in words_of(pages)
    (message,) = warnings()
    assert BLOCKED in message
