"""Fixtures of the credential tests: people of each role, a registered device, credentials."""

from __future__ import annotations

import pytest

from tests.cloudcreds.builders import SECRET, make_device, values
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["log_can_be_flushed"]


@pytest.fixture(scope="session")
def mfk():
    """The device's Master File Key pair, made once."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def device_row(db, mfk):
    """The designated device as the web process knows it: a row with the MFK's public half."""
    return make_device(mfk)


@pytest.fixture
def people(db):
    """One account of each role, by role."""
    from django.contrib.auth import get_user_model

    model = get_user_model()
    return {
        role: model.objects.create_user(username=f"a-{role}", role=role)
        for role in ("admin", "custodian", "operator", "auditor")
    }


@pytest.fixture
def admin(people):
    """The administrator as the one who acts."""
    from kmes.core.actor import Actor

    return Actor.from_user(people["admin"])


@pytest.fixture
def credential(device_row, admin):
    """A stored credential."""
    from cloudcreds.services import create_credential

    return create_credential(values=values(secret=SECRET), actor=admin)
