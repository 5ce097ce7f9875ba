"""What happens around a worker, as hooks that run at a moment: rights, people, the device, the database.

Each takes the world, the job, and a stack on which it puts how to undo itself.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.database_processes import acting_as
from tests.faults.operations import NAME
from tests.faults.world import ROOT


def _revoke_secret(world, job, after):
    from cloudcreds.azure.clients import forget_clients

    client = "22222222-2222-2222-2222-222222222222"
    world.stand_in.control("POST", "/_emulator/clients", {"client_id": client, "secret": "another-secret"})
    forget_clients()
    restore = {"client_id": client, "secret": "emulator-secret"}
    after.callback(world.stand_in.control, "POST", "/_emulator/clients", restore)


def _take_permissions(world, job, after):
    client = "22222222-2222-2222-2222-222222222222"
    (now,) = [c for c in world.stand_in.control("GET", "/_emulator/clients") if c["client_id"] == client]
    world.stand_in.control("POST", "/_emulator/clients", {"client_id": client, "permissions": ["get", "list"]})
    world.has_refused_purge = True
    restore = {"client_id": client, "permissions": now["permissions"]}
    after.callback(world.stand_in.control, "POST", "/_emulator/clients", restore)


def _name_gets_deleted(world, job, after):
    world.soft_delete_of_somebody_else()
    after.callback(lambda: world.vault.client.purge_deleted_key(NAME))


def _somebody_pushes(world, job, after):
    world.push_of_somebody_else()


def _device_goes(world, job, after):
    from django.conf import settings

    tokens = Path(settings.KMES_STATE_DIR) / "hsm" / "tokens"
    away = tokens.with_name("tokens-away")
    shutil.move(tokens, away)
    tokens.mkdir()

    def back():
        shutil.rmtree(tokens)
        shutil.move(away, tokens)

    after.callback(back)


def _second_worker(world, job, after):
    """Another worker gets the same message now."""
    world.work(job, owner="second worker")


def _taken_over(world, job, after):
    """The lease runs out while this worker stands still; another takes the job over and goes on."""
    from datetime import timedelta

    from jobs.models import Job
    from kmes.core.clock import now

    Job.objects.filter(pk=job.pk).update(lease_until=now() - timedelta(seconds=1))
    world.work(job, owner="second worker")


def _clock_is_set(hours):
    """Set this machine's clock while the job runs; a scan looks for work at once."""

    def jump(world, job, after):
        from jobs.schedule import scans

        world.set_clock(hours)
        for job_id in scans.find_claimable():
            assert job_id == job.pk
            world.work(job, owner="second worker")

    return jump


def _device_bounces(world, job, after):
    """The device goes and comes back before anybody asks it."""
    _device_goes(world, job, after)
    after.close()


def _device_replaced(world, job, after):
    """Another process re-initialises the token: same label, same PIN file, other keys."""
    from django.conf import settings

    here = Path(settings.KMES_STATE_DIR) / "hsm"
    other = _another_token()
    kept = Path(tempfile.mkdtemp(prefix="kmes-token-"))
    for name in ("tokens", "pin"):
        shutil.move(here / name, kept / name)
    shutil.copytree(other / "tokens", here / "tokens")
    shutil.copy2(other / "pin", here / "pin")

    def back():
        shutil.rmtree(here / "tokens")
        (here / "pin").unlink()
        for name in ("tokens", "pin"):
            shutil.move(kept / name, here / name)
        shutil.rmtree(kept)

    after.callback(back)


_made: dict[int, Path] = {}


def _another_token():
    """A token with major keys of its own, made by another process, once."""
    from django.conf import settings

    if os.getpid() not in _made:
        folder = Path(settings.KMES_STATE_DIR) / "another"
        environment = {
            **os.environ,
            "KMES_STATE_DIR": str(folder),
            "SOFTHSM2_CONF": str(folder / "hsm" / "softhsm2.conf"),
            "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        }
        script = (
            "import django; django.setup(); from pathlib import Path; from hsm.emulator import create_token; "
            f"create_token(Path({str(folder)!r})); from hsm.device import get_device; get_device().initialise()"
        )
        folder.mkdir()
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True)
        _made[os.getpid()] = folder / "hsm"
    return _made[os.getpid()]


def _pin_wrong(world, job, after):
    """Somebody changes the PIN file; the device, which was away for a moment, asks for the PIN again."""
    from django.conf import settings

    pin = Path(settings.KMES_HSM_PIN_FILE)
    right = pin.read_text()
    _device_bounces(world, job, after)
    pin.write_text("not-the-pin")
    after.callback(pin.write_text, right)


def _database_locked(world, job, after):
    """Somebody else holds the database for longer than a writer waits."""
    from django.db import connection

    if connection.vendor == "sqlite":
        other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        after.callback(other.close)
        other.execute("BEGIN IMMEDIATE")
        after.callback(other.execute, "ROLLBACK")
        _run("PRAGMA busy_timeout=200")
        after.callback(_run, "PRAGMA busy_timeout=20000")
        return
    other = _another_connection()
    after.callback(other.close)
    other.execute("LOCK TABLE jobs_job IN EXCLUSIVE MODE")
    _run("SET lock_timeout='200ms'")
    after.callback(_run, "RESET lock_timeout")


def _disk_full(world, job, after):
    """The database can't grow any more."""
    from django.db import connection

    if connection.vendor == "sqlite":
        # Pages that are free inside the file are used up first, so that the limit is felt at once.
        with connection.cursor() as cursor:
            pages = cursor.execute("PRAGMA page_count").fetchone()[0]
            _run(f"PRAGMA max_page_count={pages}")
        after.callback(_run, "PRAGMA max_page_count=1073741823")
        return
    _run(
        "CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'could not extend file' USING ERRCODE = '53100'; END $$"
    )
    _run("CREATE TRIGGER full_disk BEFORE INSERT ON logging_reports_logentry EXECUTE FUNCTION full_disk()")
    after.callback(_run, "DROP TRIGGER IF EXISTS full_disk ON logging_reports_logentry")


def _connections_cut(world, job, after):
    """The database ends every connection, as a restart does. SQLite has none: its file is only closed."""
    from django.db import connection

    after.callback(connection.close)
    if connection.vendor == "postgresql":
        with _another_connection() as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname=current_database() AND pid<>pg_backend_pid()"
            )


def _run(statement):
    from django.db import connection

    # As the owner of the tables: the accident happens in the middle of a worker's turn.
    with acting_as("manage"), connection.cursor() as cursor:
        cursor.execute(statement)


def _another_connection():
    import psycopg
    from django.db import connection

    values = connection.settings_dict
    return psycopg.connect(
        host=values["HOST"], port=values["PORT"], user=values["USER"], dbname=values["NAME"], autocommit=False
    )


HOOKS = {
    "secret revoked": _revoke_secret,
    "permissions taken": _take_permissions,
    "name soft-deleted": _name_gets_deleted,
    "somebody else pushes": _somebody_pushes,
    "device gone": _device_goes,
    "device bounces": _device_bounces,
    "device replaced": _device_replaced,
    "PIN wrong": _pin_wrong,
    "database locked": _database_locked,
    "disk full": _disk_full,
    "connections cut": _connections_cut,
    "clock ahead": _clock_is_set(1),
    "clock back": _clock_is_set(-1),
    "delivered twice": _second_worker,
    "taken over": _taken_over,
}
