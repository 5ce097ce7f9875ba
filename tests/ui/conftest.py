"""Fixtures of the shell's tests: people of each role, and rows to be found. Nothing here asks the device or Azure."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth import get_user_model

from cloudcreds.models import CloudCredential, KeyVault
from keygroups.models import KeyGroup
from kmes.core.clock import now

ROLES = ("admin", "custodian", "operator", "auditor")


@pytest.fixture(autouse=True)
def static_root(settings):
    """The folder of collected static files, whose absence is a warning to WhiteNoise."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def people(db):
    """One user of each role, by role."""
    make = get_user_model().objects.create_user
    return {role: make(f"the-{role}", role=role) for role in ROLES}


@pytest.fixture
def pages(client, people):
    """The pages as an administrator sees them."""
    client.force_login(people["admin"])
    return client


@pytest.fixture
def credential(db):
    """A cloud credential."""
    return CloudCredential.objects.create(
        name="Contoso", tenant_id="0f-tenant", client_id="0f-client", sealed_secret=b"sealed", secret_set_at=now()
    )


@pytest.fixture
def group(credential):
    """A key group."""
    vault = KeyVault.objects.create(credential=credential, name="kv", url="https://kv.invalid", tier="premium")
    return KeyGroup.objects.create(
        name="payments", key_spec="P-256", credential=credential, vault=vault, azure_name="pay-in-azure", owner="Ada"
    )
