"""Gateways to the stand-in over the real SDK and TLS, the rows they record, the requests the stand-in got."""

from __future__ import annotations

import time

import pytest

from cloudcreds.azure.clients import forget_clients
from cloudcreds.azure.provider import AzureProvider
from cloudcreds.choices import CloudName
from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.proofs import ClientSecret
from cloudcreds.provider.types import CredentialAccess
from kmes.core.secret_types import SecretText

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
SECRET = "emulator-secret"
ALL = ["get", "list", "create", "import", "update", "delete", "recover", "purge", "sign", "verify"]


def wait_for_next_second():
    """Wait until a token issued from now on is younger than those before: their times have whole seconds."""
    began = int(time.time())
    while int(time.time()) == began:
        time.sleep(0.02)


class Notes:
    """A recorder that keeps its records."""

    def __init__(self):
        self.calls = []

    def call(self, record):
        self.calls.append(record)


class Azure:
    """The stand-in, controlled by a test, and gateways to it."""

    def __init__(self, stand_in):
        self.stand_in, self.notes = stand_in, Notes()

    def gateway(self, vault="kv-premium", *, budget=0.0, sleep=lambda _seconds: None, **changes):
        values = {
            "cloud": CloudName.CUSTOM,
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "proof": ClientSecret(changes.pop("secret", SecretText(SECRET))),
            "authority_url": self.stand_in.url,
            "arm_url": self.stand_in.url,
        } | changes
        url = self.stand_in.vault_url(vault) if vault else ""
        backoff = Backoff(budget_seconds=budget, sleep=sleep)
        return AzureProvider().open_gateway(CredentialAccess(**values), url, recorder=self.notes, backoff=backoff)

    def fault(self, **fault):
        self.stand_in.control("POST", "/_emulator/faults", fault)

    def permit(self, *permissions):
        self.stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "permissions": list(permissions)})

    def asked(self, method, part):
        """The requests that could have had an effect. One that was challenged (401) is sent again with a token."""
        entries = self.stand_in.control("GET", "/_emulator/requests")
        return [e for e in entries if e["method"] == method and part in e["path"] and e["status"] != 401]


@pytest.fixture
def azure(azure_stand_in, db, settings):
    """A fresh stand-in, no kept clients."""
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True
    forget_clients()
    yield Azure(azure_stand_in)
    forget_clients()
