"""Columns that a process may not read: left out of its queries, whatever leads to the row."""

from __future__ import annotations

import pickle

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.test.utils import CaptureQueriesContext

from jobs.models import Job
from kmes.accounts.models import User
from kmes.core.clock import now
from kmes.core.errors import PermissionRefused
from tests.database_processes import acting_as

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return User.objects.create_user("ada", role="admin", password="a long enough password")


def test_a_process_that_may_not_read_it_gets_the_row_without_it(ada):
    with acting_as("worker"):
        found = User.objects.get(pk=ada.pk)
        with pytest.raises(PermissionRefused, match=r"worker.*password"):
            _ = found.password
        assert found.username == "ada"
    assert User.objects.get(pk=ada.pk).password == ada.password


def test_it_is_left_out_of_every_kind_of_query(ada):
    job = Job.objects.create(kind="rotate", actor_name="ada", trigger="user", requested_by=ada, run_after=now())
    with acting_as("worker"), CaptureQueriesContext(connection) as asked:
        Job.objects.select_related("requested_by").get(pk=job.pk)
        list(User.objects.prefetch_related("job_set"))
        list(User.objects.values_list("password"))
        list(User.objects.only("password"))
        User.objects.get(pk=ada.pk).refresh_from_db()
    assert not [query["sql"] for query in asked.captured_queries if '."password"' in query["sql"]]


def test_saving_such_a_row_leaves_the_column_alone(ada):
    with acting_as("worker"):
        found = User.objects.get(pk=ada.pk)
        copied = pickle.loads(pickle.dumps(found))  # noqa: S301 - just made
    copied.first_name = "Ada"
    copied.save()
    ada.refresh_from_db()
    assert (ada.first_name, ada.check_password("a long enough password")) == ("Ada", True)


def test_who_reads_a_column_makes_no_migration():
    loader = MigrationLoader(connection)

    found = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps)).changes(graph=loader.graph)
    assert found == {}
