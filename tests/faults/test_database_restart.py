"""PostgreSQL is stopped and started again while jobs run and pages are open: everything goes on by itself."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from tests import services
from tests.faults.test_installation import MOVING_SECONDS, Installation, pages_watched

pytestmark = [
    pytest.mark.timeout(400),
    # It brings a server of its own; once is enough.
    pytest.mark.skipif(
        os.environ.get("KMES_TEST_DATABASE") != "postgres" and os.environ.get("FAULTS") != "all",
        reason="part of the run on PostgreSQL",
    ),
]
DOWN_SECONDS = 4


@pytest.fixture
def server():
    """A PostgreSQL of its own, outside pytest's folders: another run of pytest closes those to other users."""
    with tempfile.TemporaryDirectory(prefix="kmes-postgres-") as folder:
        yield services.Postgres(Path(folder))


def test_a_database_that_is_stopped_in_the_middle_of_jobs_and_comes_back(server):
    server.start()
    try:
        with Installation(DATABASE_URL=server.url) as installation:
            codes = installation.load("restart", groups=4, keys=8)

            def running():
                return {code: told for code, told in installation.jobs(codes).items() if told[1] == "running"}

            installation.await_that(running, 60, "no job runs")
            before = running()
            assert before, "the load was over before the restart"
            with pages_watched(installation) as bad:
                server.stop()
                time.sleep(DOWN_SECONDS)
                server.start()
                begun = time.monotonic()
                installation.await_that(lambda: not running() or running() != before, MOVING_SECONDS, "nothing moved")
                installation.settle(codes)
            print(
                f"\n{len(before)} running jobs of {len(codes)} were over {time.monotonic() - begun:.0f} s after the restart"
            )
            # A page that finds no database may say so, in words and as 503; it is never a bare 500.
            assert bad == []
    finally:
        server.stop()
