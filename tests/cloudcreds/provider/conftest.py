"""Both providers behind one handle, so that one contract is tried on each."""

from __future__ import annotations

import pytest

from cloudcreds.azure.provider import AzureProvider
from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.proofs import ClientSecret
from cloudcreds.provider.types import CredentialAccess
from kmes.core.secret_types import SecretText
from tests.cloudcreds.azure.conftest import Notes, azure
from tests.cloudcreds.provider.fixtures import memory_cloud
from tests.cloudcreds.provider.memory_cloud import AnswerLost, Refused
from tests.cloudcreds.provider.memory_provider import MemoryProvider

__all__ = ["azure", "memory_cloud"]


class AzureSubject:
    """Azure's provider on the stand-in."""

    name = "azure"

    def __init__(self, azure):
        self.provider = AzureProvider()
        self._azure, self.notes = azure, azure.notes
        self.vault_name, self.vault_url = "127.0.0.1", azure.stand_in.vault_url("kv-premium")
        self.cloud = "custom"

    def gateway(self, *, secret=None, vault="premium", budget=0.0, slept=None):
        changes = {"secret": SecretText(secret)} if secret else {}
        sleep = (slept if slept is not None else []).append
        return self._azure.gateway(f"kv-{vault}" if vault else "", budget=budget, sleep=sleep, **changes)

    def permit(self, *permissions):
        self._azure.permit(*permissions)

    def throttle_imports(self, count):
        self._azure.fault(method="PUT", path="/keys/k", status=429, retry_after=2, count=count)

    def lose_next_answer(self):
        self._azure.fault(method="PUT", path="/keys/k", reset="after")

    def imports_asked(self):
        return len(self._azure.asked("PUT", "/keys/k"))


class MemorySubject:
    """The provider in memory."""

    name = "memory"
    vault_name = "premium"
    cloud = "public"

    def __init__(self, cloud):
        self._cloud, self.provider, self.notes = cloud, MemoryProvider(cloud), Notes()
        for vault, values in {
            "premium": {},
            "protected": {"purge_protected": True},
            "standard": {"holds_hsm_keys": False},
        }.items():
            cloud.add_vault(vault, **values)
        self.vault_url = "https://premium.memory.test"

    def gateway(self, *, secret=None, vault="premium", budget=0.0, slept=None):
        access = CredentialAccess(
            "public", "memory", self._cloud.client_id, ClientSecret(SecretText(secret or self._cloud.secret))
        )
        url = f"https://{vault}.memory.test" if vault else ""
        backoff = Backoff(budget_seconds=budget, sleep=(slept if slept is not None else []).append)
        return self.provider.open_gateway(access, url, recorder=self.notes, backoff=backoff)

    def permit(self, *permissions):
        self._cloud.permitted = set(permissions)

    def throttle_imports(self, count):
        self._cloud.failures += [Refused("throttled")] * count

    def lose_next_answer(self):
        self._cloud.failures.append(AnswerLost())

    def imports_asked(self):
        return self._cloud.asked.count("import")


@pytest.fixture(params=[AzureSubject, MemorySubject], ids=lambda subject: subject.name)
def subject(request):
    """One of the providers, new, with a Premium, a protected and a Standard vault."""
    fixture = {"azure": "azure", "memory": "memory_cloud"}[request.param.name]
    return request.param(request.getfixturevalue(fixture))
