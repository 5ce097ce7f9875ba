"""Fixtures of the log's tests."""

import pytest
from django.db import connection

from kmes.core.actor import SYSTEM
from logging_reports import triggers
from logging_reports.services import record
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["log_can_be_flushed"]


@pytest.fixture
def unguarded_log(db):
    """Lift the triggers, as a database administrator could, to tamper with rows."""
    triggers.remove(connection)
    yield
    triggers.install(connection)


@pytest.fixture
def log_row(db):
    """One row of the Azure Service log."""
    return record("azure.key_imported", actor=SYSTEM, data={"size": 2048, "name": "ü"})
