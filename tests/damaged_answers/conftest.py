"""Fixtures: the relay before the stand-in, and a world whose credential and vaults lead through it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model

from cloudcreds.azure import transport
from cloudcreds.azure.clients import forget_clients
from cloudcreds.provider import backoff
from jobs.kinds import azure_key
from tests.damaged_answers.harness import RelayedWorld, Texts
from tests.faults.relay.certificates import Authority
from tests.faults.relay.server import Relay
from tests.faults.world import QUARANTINE_SECONDS, SEND_SECONDS
from tests.jobs.builders import make_credential, make_group
from tests.jobs.conftest import admin, device, hsm_token, vault
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "device", "hsm_token", "log_can_be_flushed", "vault"]
PAUSES = (0.2, 0.2, 0.4, 0.4, 0.8)


@pytest.fixture(scope="session")
def running_relay(running_stand_in, tmp_path_factory):
    """One relay for all tests of this process; its certificate is signed by the stand-in's own authority."""
    folder = running_stand_in.state_dir
    authority = Authority.load(folder / "ca.pem", folder / "ca-key.pem", tmp_path_factory.mktemp("relay"))
    ports = {running_stand_in.port + offset: "127.0.0.1" for offset in range(3)}
    with Relay(authority, ports, ca_file=running_stand_in.ca_file) as relay:
        yield relay


@pytest.fixture
def relay(running_relay):
    """The relay as new."""
    running_relay.restart(0)
    yield running_relay
    running_relay.calm()


@pytest.fixture
def texts():
    """All that is logged during the test, by anybody."""
    handler, root = Texts(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def credential(device, azure_stand_in, relay, admin):
    """A credential whose login and management addresses are the relay's."""
    forget_clients()
    return make_credential(relay.url_for(azure_stand_in.url), actor=admin)


@pytest.fixture
def group(credential, azure_stand_in, relay):
    """A P-256 key group in the Premium vault, reached through the relay."""
    return make_group(credential, relay.url_for(azure_stand_in.vault_url("kv-premium")), name="payments")


@pytest.fixture
def world(group, admin, vault, azure_stand_in, relay, texts, settings):
    """The world, with timers short enough to wait for."""
    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = QUARANTINE_SECONDS
    settings.KMES_SEND_SECONDS = SEND_SECONDS
    # Pages are served with the files beside them.
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(azure_key, "DELETING_SECONDS", QUARANTINE_SECONDS + SEND_SECONDS)
        patch.setattr(backoff, "PAUSES", PAUSES)
        yield RelayedWorld(group, admin, vault, azure_stand_in, patch, relay, texts)


@pytest.fixture
def second_group(world, credential, azure_stand_in, relay):
    """Another group of the same credential, in the vault kv-protected."""
    return make_group(credential, relay.url_for(azure_stand_in.vault_url("kv-protected")), name="second")


@pytest.fixture
def short_waits(world):
    """A client that gives up after two seconds of silence."""
    world.patch.setattr(transport, "READ_SECONDS", 2)
    world.sign_out()


@pytest.fixture
def pages(client, admin):
    """The pages as the administrator sees them."""
    client.force_login(get_user_model().objects.get(pk=admin.user_id))
    return client
