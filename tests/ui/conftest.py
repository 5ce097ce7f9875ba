"""Fixtures of the shell's tests: people of each role, and rows to be found. Nothing here asks the device or Azure."""

from __future__ import annotations

import pytest

from cloudcreds.models import CloudCredential, KeyVault
from keygroups.models import KeyGroup
from kmes.core.clock import now
from tests.people import pages, people, static_root

__all__ = ["pages", "people", "static_root"]


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
