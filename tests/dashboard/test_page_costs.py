"""No page costs more than twelve queries, nor more when there is more to show, nor reads rows without end."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kmes.accounts import session_limits
from kmes.devtools.page_costs import MOST_QUERIES, list_paths

pytestmark = pytest.mark.django_db
# A branch of the tree, with the question whether there is more.
MOST_ROWS = 101


def count_queries(client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    assert answer.status_code == 200, path
    return len(queries)


def test_every_page_keeps_to_twelve_queries_however_much_there_is(client, django_user_model, redis_server, monkeypatch):
    # Once a minute, one page more writes when its session was last used.
    monkeypatch.setattr(session_limits, "USE_SECONDS", 86_400)
    client.force_login(django_user_model.objects.create_user("ada", role="admin"))
    call_command("seed", groups=60, keys=120, logs=300, verbosity=0)
    paths = list(list_paths())
    few = {path: count_queries(client, path) for path in paths}
    call_command("seed", groups=80, keys=500, logs=1000, verbosity=0)
    many = {path: count_queries(client, path) for path in paths}
    assert {path: count for path, count in many.items() if count > MOST_QUERIES} == {}
    assert {path: (few[path], count) for path, count in many.items() if count > few[path]} == {}


def test_no_page_reads_more_rows_than_it_shows(client, django_user_model, redis_server):
    """A list that is read whole is quick in every other test, and takes seconds with ten thousand key groups."""
    client.force_login(django_user_model.objects.create_user("ada", role="admin"))
    call_command("seed", groups=8 * MOST_ROWS, keys=8 * MOST_ROWS, logs=8 * MOST_ROWS, verbosity=0)
    read = {}
    for path in list_paths():
        with CaptureQueriesContext(connection) as queries:
            client.get(path)
        for sql in (query["sql"] for query in queries if query["sql"].startswith("SELECT")):
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT COUNT(*) FROM ({sql}) AS answer".replace("%", "%%"), [])  # noqa: S608 - the page's own
                count = cursor.fetchone()[0]
            if count > MOST_ROWS:
                read[path, sql[:200]] = count
    assert read == {}
