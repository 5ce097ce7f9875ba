"""What the operations tests let an installation do, in a process of its own: ``python -m tests.operations.acts ACT``."""

from __future__ import annotations

import sys

import django

django.setup()

from django.db import connection

from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from jobs.schedule import log_checkpoints
from keygroups.models import Key
from kmes.accounts.models import ConsoleSession, User
from kmes.accounts.session_store import SessionStore
from kmes.core.actor import Actor
from logging_reports import triggers
from logging_reports.models import LogEntry
from tests.jobs.builders import make_credential, make_group, make_keys, work


def furnish(stand_in: str, vault: str) -> None:
    """A credential, a group, and one key that was pushed and one that was not."""
    actor = _admin()
    group = make_group(make_credential(stand_in, actor=actor), vault, name="payments")
    first, _second = make_keys(group, "first", "second", actor=actor)
    job = work(request_synchronize(keys=[first], actor=actor))
    print(job.state, job.error_what)


def push(name: str) -> None:
    """Push a key; says how it went and which version it became."""
    job = work(request_synchronize(keys=[Key.objects.get(name=name)], actor=_admin()))
    print(job.state, job.error_what, Key.objects.get(name=name).cloud_versions.get().azure_version)


def tamper() -> None:
    """Change a written log row, as somebody with the database's password could."""
    triggers.remove(connection)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE logging_reports_logentry SET message = 'nothing happened' WHERE sequence = 2")
    triggers.install(connection)


def sign_log() -> None:
    """Let the device sign where the log ends."""
    print(log_checkpoints.make_if_due())


def count() -> None:
    """Say how many rows of each kind there are."""
    print(*(model.objects.count() for model in (User, Key, Job, ConsoleSession)), LogEntry.objects.exists())


def last_restore() -> None:
    """Say what the Audit log holds on the last restore."""
    print(LogEntry.objects.filter(event="backup.restored").latest("sequence").message)


def sign_in() -> None:
    """Leave a session behind."""
    SessionStore().save(must_create=True)


def add_user(name: str) -> None:
    """Make one more user."""
    print(User.objects.create_user(name, password="a long pass phrase").pk)


def _admin():
    return Actor.from_user(User.objects.get(username="admin1"))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
