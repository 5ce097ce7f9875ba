"""Prepares every test run: an own state folder and environment per process, real services on
demand, no socket beyond loopback.

The environment is set while this file is imported: the conftest files below it, which pytest imports
next, may then import models at their top. It is not set in pyproject, because pytest-django would read
the settings before the folder exists, and each xdist worker needs its own.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import ipaddress
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import hypothesis
import pytest

from tests import database_processes, services, tables
from tests.call_stack import in_one_piece
from tests.one_process import TAKE_LONG, OneProcessForWhatIsShared

# A busy machine is no failure; what hangs is ended by pytest's own time limit.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")

_cleanup = contextlib.ExitStack()
# The environment that this process was started with, once it is prepared.
_inherited: dict[str, str] = {}
# What all processes of a test run know.
OF_THE_WHOLE_RUN = {"KMES_TEST_DATABASE", "KMES_TEST_POSTGRES_URL"}
# Tests of these files start installations, with databases that no fixture gives.
OWN_INSTALLATIONS = {
    "tests/faults/test_database_restart.py",
    "tests/operations/test_backup.py",
    "tests/operations/test_upgrade.py",
}
# Python's own are 700, 10 and 10: of the objects that a page makes, nearly all end without the collector.
GARBAGE = (20_000, 10, 10)
REFUSED = "Tests speak to this machine only; this was an attempt to reach {}."


def _set_environment(state: Path) -> None:
    """Say in environment variables what kmes.settings reads."""
    redis_port, stand_in_port, metadata_port = services.free_port(), services.free_port(3), services.free_port()
    stand_in = state / "azure_emulator"
    for name in [name for name in os.environ if name.startswith("KMES_") and name not in OF_THE_WHOLE_RUN]:
        del os.environ[name]
    os.environ.update(
        DJANGO_SETTINGS_MODULE="kmes.settings",
        KMES_STATE_DIR=str(state),
        KMES_INSECURE_HTTP="1",
        # Tests ask for jobs as web does and run them as the worker does.
        KMES_PROCESS="manage",
        KMES_REDIS_URL=f"redis://127.0.0.1:{redis_port}/0",
        KMES_ALLOW_CUSTOM_ENDPOINTS="1",
        KMES_CUSTOM_CA_FILE=str(stand_in / "ca.pem"),
        KMES_STAND_IN_URL=f"https://127.0.0.1:{stand_in_port}",
        KMES_METADATA_URL=f"http://127.0.0.1:{metadata_port}",
        KMES_ALLOWED_HOSTS="127.0.0.1,localhost,testserver",
        KMES_LOG_LEVEL="WARNING",
        # A quarantine counts from the last moment a request may leave; tests wait it out.
        KMES_SEND_SECONDS="2",
        SOFTHSM2_CONF=str(state / "hsm" / "softhsm2.conf"),
        # Each client of a cloud reads the system's authorities, which takes 20 ms of CPU time. No test needs them.
        SSL_CERT_FILE=str(state / "no_authorities.pem"),
    )
    # WhiteNoise warns where the folder of collected files is missing.
    (state / "static").mkdir(parents=True)
    os.environ.pop("DATABASE_URL", None)
    if url := os.environ.get("KMES_TEST_POSTGRES_URL"):
        os.environ["DATABASE_URL"] = url


def _prepare() -> None:
    """Give this process its own folder and environment, and set Django up."""
    folder = Path(tempfile.mkdtemp(prefix="kmes-test-"))
    _cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
    # Where another conftest file can't be imported, pytest ends without pytest_unconfigure.
    atexit.register(_cleanup.close)
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if not is_worker:
        os.environ[tables.FOLDER_VARIABLE] = str(folder / "tables")
    if os.environ.get("KMES_TEST_DATABASE") == "postgres" and not is_worker:
        os.environ["KMES_TEST_POSTGRES_URL"] = _cleanup.enter_context(services.running_postgres(folder / "postgres"))
        database_processes.make_roles(os.environ["KMES_TEST_POSTGRES_URL"])
    _inherited.update(os.environ)
    _set_environment(folder / "state")
    # Importing the package names the settings to Django, which xdist's workers must not inherit.
    from kmes.core.request_keys import default_signers_file, make_request_keys

    request_keys = folder / "state" / "request_keys"
    make_request_keys(request_keys, default_signers_file(request_keys))
    _guard_sockets()
    django.setup()
    _hash_lightly()
    # Only readable once Django is set up.
    from kmes.devtools import strict_columns

    strict_columns.install()
    database_processes.install()


def pytest_configure(config: pytest.Config) -> None:
    """Refuse settings that were read too early, and start xdist's workers with the environment as it was."""
    if not _inherited:
        message = "Unset DJANGO_SETTINGS_MODULE: tests/conftest.py sets it once the test environment stands."
        raise pytest.UsageError(message)
    if config.getoption("dist", "no") != "no":
        os.environ.clear()
        os.environ.update(_inherited)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessForWhatIsShared | None:
    """Keep together what is shared, where tests are given out by scope."""
    return OneProcessForWhatIsShared(config, log) if config.getoption("dist") == "loadscope" else None


def uses_database(item: pytest.Item) -> bool:
    """Say whether a test reads or writes rows, by itself or in an installation that it starts."""
    fixtures = set(getattr(item, "fixturenames", ()))
    return bool(
        item.get_closest_marker("django_db")
        or fixtures & {"db", "transactional_db"}
        or item.nodeid.partition("::")[0] in OWN_INSTALLATIONS
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out on PostgreSQL what uses no database; begin with what takes long where processes share the tests."""
    if os.environ.get("KMES_TEST_DATABASE") == "postgres":
        config.hook.pytest_deselected(items=[item for item in items if not uses_database(item)])
        items[:] = [item for item in items if uses_database(item)]
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Stable: both halves stay in their random order.
        items.sort(key=lambda item: item.nodeid.partition("::")[0] not in TAKE_LONG)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what the collection of the tests has made, and look less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Let pytest call the test with a call stack in one piece."""
    pyfuncitem.obj = in_one_piece(pyfuncitem.obj)


def pytest_unconfigure() -> None:
    """Stop what this process started and remove its folder."""
    _cleanup.close()


def _hash_lightly() -> None:
    """Hash passwords as the product does but with a hundredth of the memory: tests make thousands of users."""
    # Only readable once Django is set up.
    from django.contrib.auth.hashers import Argon2PasswordHasher

    Argon2PasswordHasher.memory_cost = 1024


# --- Sockets --------------------------------------------------------------------------------
def _is_local(host: str) -> bool:
    if host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _guard_sockets() -> None:
    """Refuse connections and look-ups beyond loopback, so that no test depends on a network."""
    connect, lookup = socket.socket.connect, socket.getaddrinfo

    def local_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise ConnectionRefusedError(REFUSED.format(address))
        connect(self, address)

    def local_lookup(host: Any, *arguments: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        # Names below .invalid never exist (RFC 6761), so looking one up reaches nobody.
        if name is not None and not _is_local(name):
            raise socket.gaierror(socket.EAI_NONAME, REFUSED.format(name))
        return lookup(host, *arguments, **named)

    socket.socket.connect = local_connect  # type: ignore[method-assign]
    socket.getaddrinfo = local_lookup


@pytest.fixture(autouse=True)
def nothing_pinned() -> Iterator[None]:
    """Let each test begin as an installation that trusts no key of a device yet."""
    pinned = Path(os.environ["KMES_STATE_DIR"]) / "pinned_keys.json"
    pinned.unlink(missing_ok=True)
    yield
    pinned.unlink(missing_ok=True)


# --- Database -------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> Iterator[None]:
    """Let the database of this process begin with its tables, which ``django_db_keepdb`` then keeps."""
    # Only readable once Django is set up.
    from django.db import connection, connections

    if connection.vendor == "postgresql":
        template = tables.template_at(os.environ["KMES_TEST_POSTGRES_URL"])
        connection.settings_dict["TEST"]["TEMPLATE"] = template
    else:
        tables.give_file(Path(connection.settings_dict["TEST"]["NAME"]))
    yield
    connections.close_all()


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Keep what is there at the start; its folder or server ends with the test run."""
    return True


# --- Services -------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """Run the Redis that KMES_REDIS_URL names; yields the URL."""
    url = os.environ["KMES_REDIS_URL"]
    port = int(url.rsplit(":", 1)[1].partition("/")[0])
    with services.running_redis(Path(os.environ["KMES_STATE_DIR"]) / "redis", port):
        yield url


@pytest.fixture(scope="session")
def running_stand_in() -> Iterator[services.StandIn]:
    """Run the stand-in that KMES_STAND_IN_URL names, once per test process."""
    port = int(os.environ["KMES_STAND_IN_URL"].rsplit(":", 1)[1])
    # Each push asks for an RSA key, which takes longer to make than all else the stand-in does for the push.
    kept_keys = Path(os.environ[tables.FOLDER_VARIABLE]) / "rsa_keys"
    options = ["--metadata-address", os.environ["KMES_METADATA_URL"].removeprefix("http://")]
    options += ["--kept-keys", str(kept_keys)]
    with services.running_stand_in(Path(os.environ["KMES_CUSTOM_CA_FILE"]).parent, port, *options) as stand_in:
        yield stand_in


@pytest.fixture
def azure_stand_in(running_stand_in: services.StandIn) -> services.StandIn:
    """Give the stand-in as new: only its seeded vaults, no keys, no faults."""
    running_stand_in.reset()
    return running_stand_in


if "kmes.settings" not in sys.modules:
    _prepare()
