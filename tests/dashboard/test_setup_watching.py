"""What the set-up and a credential's page show while a job runs, and as it ends."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kmes.core.clock import now
from tests.cloudcreds.conftest import admin, credential, device_row, mfk, people
from tests.dashboard.test_setup import make_vault, texts
from tests.people import pages

__all__ = ["admin", "credential", "device_row", "mfk", "pages", "people"]
pytestmark = pytest.mark.django_db


def test_a_test_under_way_is_neither_passed_nor_failed(credential):
    make_vault(credential, last_test=[{"name": "Import", "ok": None}], last_test_ok=None, last_tested_at=now())
    assert "on vault kv-one has not ended." in texts(3)
    assert "failed" not in texts(3)


@pytest.mark.parametrize("page", ["/setup/3/", "credential", "last test"])
def test_a_job_is_read_before_what_it_writes(page, pages, credential):
    """Read after it, a job that has just ended would leave the page with what was so before its end."""
    make_vault(credential)
    own = credential.get_absolute_url()
    with CaptureQueriesContext(connection) as queries:
        pages.get({"credential": own, "last test": f"{own}last-test/"}.get(page, page))
    asked = [query["sql"] for query in queries.captured_queries]
    job = next(place for place, sql in enumerate(asked) if 'FROM "jobs_job"' in sql)
    written = next(place for place, sql in enumerate(asked) if 'FROM "cloudcreds_' in sql)
    assert job < written
