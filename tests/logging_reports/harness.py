"""A pytest plugin for the whole suite: lets transactional tests empty the log afterwards.

Such tests end with Django's ``flush``, which the log's triggers refuse, as they should. Here,
and only here, the triggers are lifted around it. Use: ``pytest_plugins`` of the root conftest.
"""

from __future__ import annotations

import pytest
from django.db import connections
from django.test import TransactionTestCase

from logging_reports import triggers


@pytest.fixture(scope="session", autouse=True)
def _log_can_be_flushed() -> None:
    original = TransactionTestCase._fixture_teardown

    def teardown(self: TransactionTestCase) -> None:
        aliases = list(self._databases_names(include_mirrors=False))
        for alias in aliases:
            triggers.remove(connections[alias])
        try:
            original(self)
        finally:
            for alias in aliases:
                triggers.install(connections[alias])

    TransactionTestCase._fixture_teardown = teardown  # type: ignore[method-assign]
