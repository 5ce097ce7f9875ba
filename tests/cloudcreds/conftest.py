"""Fixtures of the credential tests: people of each role, a registered device, credentials."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from cloudcreds.services import create_credential
from kmes.core.actor import Actor
from tests.cloudcreds.builders import SECRET, make_device, values
from tests.logging_reports.harness import log_can_be_flushed
from tests.people import make_people

__all__ = ["log_can_be_flushed"]


@pytest.fixture(scope="session")
def mfk():
    """The device's Master File Key pair, made once."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def device_row(db, mfk):
    """The designated device in the web process: a row with the MFK's public half."""
    return make_device(mfk)


@pytest.fixture
def people(db):
    """One account of each role, by role."""
    return make_people("a")


@pytest.fixture
def admin(people):
    """The administrator as an actor."""
    return Actor.from_user(people["admin"])


@pytest.fixture
def credential(device_row, admin):
    """A stored credential."""
    return create_credential(values=values(secret=SECRET), actor=admin)
