"""Fixtures of the job tests: a real token, the stand-in, and rows to work with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["log_can_be_flushed"]

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
SECRET = "emulator-secret"


@pytest.fixture(scope="session")
def hsm_token():
    """A SoftHSM token with PIN file, in this process's own state folder."""
    from hsm.emulator import create_token

    return create_token(Path(os.environ["KMES_STATE_DIR"]))


@pytest.fixture
def device(hsm_token, transactional_db):
    """The device, with major keys, registered and designated."""
    from django.core.management import call_command

    call_command("hsm_init", verbosity=0)
    from hsm.device import get_device

    return get_device()


@pytest.fixture
def admin(transactional_db):
    """An administrator as the one who acts."""
    from django.contrib.auth import get_user_model

    from kmes.core.actor import Actor

    user = get_user_model().objects.create_user("ada", role="admin")
    return Actor.from_user(user)


@pytest.fixture
def credential(device, azure_stand_in, admin):
    """A credential for the stand-in."""
    from cloudcreds.azure.clients import forget_clients
    from tests.jobs.builders import make_credential

    forget_clients()
    return make_credential(azure_stand_in.url, actor=admin)


@pytest.fixture
def group(credential, azure_stand_in):
    """A P-256 key group in the Premium vault."""
    from tests.jobs.builders import make_group

    return make_group(credential, azure_stand_in.vault_url("kv-premium"), name="payments")


@pytest.fixture
def vault(azure_stand_in):
    """The Premium vault seen by an observer of its own, not by our client."""
    from tests.jobs.observer import VaultObserver

    return VaultObserver(azure_stand_in)
