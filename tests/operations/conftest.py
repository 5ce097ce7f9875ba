"""Fixtures of the operations tests."""

from __future__ import annotations

import pytest

from tests.operations.installation import Installation, new_database


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, redis_server):
    """An installation with database, token and administrators, made once and left as it is."""
    folder = tmp_path_factory.mktemp("prepared")
    made = Installation(folder, database_url=new_database(folder, with_tables=True))
    made.prepare()
    return made


@pytest.fixture
def installation(prepared, tmp_path):
    """An installation that the test may change."""
    return prepared.copied_to(tmp_path / "here")
