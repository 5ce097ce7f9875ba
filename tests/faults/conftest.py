"""A world per case, on the services the job tests use."""

from __future__ import annotations

import pytest

from tests.faults.world import QUARANTINE_SECONDS, SEND_SECONDS, World
from tests.jobs.conftest import admin, credential, device, group, hsm_token, vault
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "credential", "device", "group", "hsm_token", "log_can_be_flushed", "vault"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that wait longest, so that the others run beside them."""
    items.sort(key=lambda item: item.path.stem not in {"test_pressure", "test_installation"})


@pytest.fixture
def world(group, admin, vault, azure_stand_in, settings):
    """A group in an empty vault, with timers short enough to wait for."""
    from jobs.kinds import azure_key

    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = QUARANTINE_SECONDS
    settings.KMES_SEND_SECONDS = SEND_SECONDS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(azure_key, "DELETING_SECONDS", QUARANTINE_SECONDS + SEND_SECONDS)
        yield World(group, admin, vault, azure_stand_in, patch)
