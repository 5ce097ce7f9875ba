"""The cloud in memory for tests of any package: registered under its own service, with a credential for it."""

from __future__ import annotations

import pytest

from cloudcreds import seals
from cloudcreds.destinations import sign_new
from cloudcreds.models import CloudCredential
from cloudcreds.provider import registry
from hsm.sealing import seal
from hsm.services import designated_device
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from kmes.core.ids import new_uuid
from kmes.core.secret_types import SecretText
from tests.cloudcreds.provider.memory_cloud import MemoryCloud
from tests.cloudcreds.provider.memory_provider import MemoryProvider


@pytest.fixture
def memory_cloud(db, settings, monkeypatch):
    """An empty cloud in memory whose provider is registered for the test."""
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True
    cloud = MemoryCloud()
    monkeypatch.setitem(registry._providers, MemoryProvider.service, MemoryProvider(cloud))
    return cloud


def make_memory_credential(cloud, *, name="Memory"):
    """A credential row for the cloud, its secret sealed for the designated device."""
    credential = CloudCredential(
        id=new_uuid(),
        name=name,
        service=MemoryProvider.service,
        tenant_id="memory",
        client_id=cloud.client_id,
        secret_set_at=now(),
    )
    mfk = bytes(designated_device().mfk_public_spki)
    credential.sealed_for = seals.place_of(credential)
    aad = seals.context_of_secret(credential)
    credential.sealed_secret = seal(SecretText(cloud.secret), aad=aad, mfk_public_spki=mfk)
    credential.save()
    sign_new(credential, actor=SYSTEM)
    return credential
