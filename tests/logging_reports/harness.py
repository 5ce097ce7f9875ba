"""A pytest plugin for the whole suite: empties the database after transactional tests, the log included.

Django ends such tests with ``flush``. The log's triggers refuse it, as they should: here, and only here, they are
lifted around it. And ``flush`` makes permissions and content types anew, which nothing here uses, for longer than many
a test runs. Use: a conftest imports ``log_can_be_flushed``.
"""

from __future__ import annotations

import pytest
from django.db import connections, transaction
from django.test import TransactionTestCase

from logging_reports import triggers


@pytest.fixture(scope="session", autouse=True)
def log_can_be_flushed() -> None:
    """Lift the triggers while a transactional test empties its database."""

    def teardown(self):
        for alias in self._databases_names(include_mirrors=False):
            triggers.remove(connections[alias])
            try:
                _empty(connections[alias])
            finally:
                triggers.install(connections[alias])

    TransactionTestCase._fixture_teardown = teardown


def _empty(connection) -> None:
    """Delete all rows. The constraints between tables are looked at when the transaction ends."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    # Not TRUNCATE, which costs PostgreSQL a tenth of a second however few rows there are.
    statements = [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]  # noqa: S608 - Django's tables
    batches = ["; ".join(statements)] if connection.vendor == "postgresql" else statements
    with connection.constraint_checks_disabled(), transaction.atomic(connection.alias), connection.cursor() as cursor:
        for batch in batches:
            cursor.execute(batch)
