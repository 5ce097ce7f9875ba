"""What a connection to PostgreSQL begins with."""

from __future__ import annotations

import pytest
from django.db import DEFAULT_DB_ALIAS, connections

pytestmark = pytest.mark.django_db


def test_a_new_connection_to_postgresql_compiles_no_query():
    new = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        with new.cursor() as cursor:
            if new.vendor == "postgresql":
                cursor.execute("SHOW jit")
                assert cursor.fetchone() == ("off",)
    finally:
        new.close()
