"""Fixtures of the key group tests: people, a credential with vaults, groups, keys with real public halves."""

from __future__ import annotations

import pytest

from kmes.core.actor import Actor
from tests.keygroups.builders import make_credential, make_group, make_vault
from tests.logging_reports.harness import log_can_be_flushed
from tests.people import make_people, static_root

__all__ = ["log_can_be_flushed", "static_root"]


@pytest.fixture
def people(db):
    """One account of each role, by role."""
    return make_people("a")


@pytest.fixture
def custodian(people):
    """The key custodian as the one who acts."""
    return Actor.from_user(people["custodian"])


@pytest.fixture
def credential(db):
    """A credential for Azure's public cloud."""
    return make_credential("Contoso")


@pytest.fixture
def vault(credential):
    """A Premium vault as last seen through the credential."""
    return make_vault(credential, "kv-prod", tier="premium")


@pytest.fixture
def group(vault):
    """An RSA group without keys that rotates every 90 days."""
    return make_group(vault, "payments")


@pytest.fixture
def pages(client, people):
    """A browser without script, signed in as custodian; ``pages.as_role`` changes who it is."""
    client.force_login(people["custodian"], backend="django.contrib.auth.backends.ModelBackend")

    def as_role(role):
        client.force_login(people[role], backend="django.contrib.auth.backends.ModelBackend")
        return client

    client.as_role = as_role
    return client
