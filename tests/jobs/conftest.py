"""Fixtures of the job tests: a real token, the stand-in, and rows to work with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from cloudcreds.azure.clients import forget_clients
from hsm.device import get_device
from hsm.emulator import create_token
from kmes.core.actor import Actor
from tests.jobs.builders import make_credential, make_group
from tests.jobs.observer import VaultObserver
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["log_can_be_flushed"]

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
SECRET = "emulator-secret"


@pytest.fixture(scope="session")
def hsm_token():
    """A SoftHSM token with PIN file, in this process's own state folder."""
    return create_token(Path(os.environ["KMES_STATE_DIR"]))


@pytest.fixture
def device(hsm_token, transactional_db):
    """The device, with major keys, registered and designated."""
    call_command("hsm_init", verbosity=0)

    return get_device()


@pytest.fixture
def admin(transactional_db):
    """An administrator as the one who acts."""
    user = get_user_model().objects.create_user("ada", role="admin")
    return Actor.from_user(user)


@pytest.fixture
def credential(device, azure_stand_in, admin):
    """A credential for the stand-in."""
    forget_clients()
    return make_credential(azure_stand_in.url, actor=admin)


@pytest.fixture
def group(credential, azure_stand_in):
    """A P-256 key group in the Premium vault."""
    return make_group(credential, azure_stand_in.vault_url("kv-premium"), name="payments")


@pytest.fixture
def vault(azure_stand_in):
    """The Premium vault seen by an observer of its own, not by our client."""
    return VaultObserver(azure_stand_in)
