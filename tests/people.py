"""Users and pages for tests: one user of each role, and the pages as an administrator sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth import get_user_model

FRAGMENT = {"HTTP_HX_REQUEST": "true"}
ROLES = ("admin", "custodian", "operator", "auditor")


def make_people(prefix: str = "the", *, password: str | None = None):
    """One user of each role, by role, with names such as "the-admin"; who has no password is signed in by the test."""
    make = get_user_model().objects.create_user
    return {role: make(f"{prefix}-{role}", password=password, role=role) for role in ROLES}


def body(response) -> str:
    return response.content.decode()


@pytest.fixture(autouse=True)
def static_root(settings):
    """The folder of collected static files, whose absence is a warning to WhiteNoise."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def people(db):
    """One user of each role."""
    return make_people()


@pytest.fixture
def pages(client, people):
    """The pages as an administrator sees them."""
    client.force_login(people["admin"])
    return client
