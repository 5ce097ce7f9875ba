"""Whether the database's schema fits this code; checked by every worker before it takes a job, and by /readyz.

Two releases run side by side during an upgrade. Code must neither write to a newer schema (the database is
ahead) nor read columns that do not exist yet (behind).
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder


class Fit(StrEnum):
    """How the database's schema compares with this code's."""

    OK = "ok"
    BEHIND = "behind"
    AHEAD = "ahead"


@cache
def _own_migrations() -> dict[tuple[str, str], frozenset[tuple[str, str]]]:
    """Return this code's migrations, each with those it replaces. Cached, because a process's code does not change."""
    found = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    return {key: frozenset(migration.replaces) for key, migration in found.items()}


def check_fit() -> Fit:
    """Compare this code's migrations with those the database has: one query.

    Raises:
        DatabaseError: the database can't be asked, or was never migrated.

    """
    rows = MigrationRecorder(connection).migration_qs.values_list("app", "name")
    return compare(_own_migrations(), set(rows))


def compare(own: dict[tuple[str, str], frozenset[tuple[str, str]]], applied: set[tuple[str, str]]) -> Fit:
    """Compare applied migrations with a code's own; apps that the code lacks don't count."""
    known = set(own).union(*own.values())
    apps = {app for app, _name in own}
    if any(key not in known for key in applied if key[0] in apps):
        return Fit.AHEAD
    replaced = set().union(*own.values())
    for key, replaces in own.items():
        if key in applied or key in replaced or (replaces and replaces <= applied):
            continue
        return Fit.BEHIND
    return Fit.OK
