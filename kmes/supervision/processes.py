"""The processes of an installation: command, environment, and seconds to stop.

A process gets only what it needs (docs/threat-model.md): only the worker gets the path of the HSM's PIN,
and the stand-in gets none of the product's settings.
"""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from kmes.core import request_keys
from kmes.core.key_files import make_key
from kmes.core.private_files import write_private
from kmes.supervision import redis_access
from kmes.supervision.instance import ROOT, Instance, StartError
from kmes.supervision.part_users import PartUser, PartUsers

# In the environment of every child, so that a later start recognizes processes left by an earlier one.
MARK = "KMES_INSTANCE"
# The PIN path of processes that must not read the PIN; opening it fails as for any missing file.
NO_PIN_FILE = "/nonexistent/the-pin-is-for-the-worker"
# Debian's home of users that have none.
NO_HOME = "/nonexistent"
_BASIC = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
_NETWORK = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_DEVICE = ("KMES_HSM_MODULE", "KMES_HSM_PIN_FILE", "KMES_HSM_TOKEN_LABEL", "KMES_SOFTHSM_CONF", "SOFTHSM2_CONF")
_FIRST_START = ("KMES_ADMIN_PASSWORD",)
_MAIL = ("KMES_EMAIL_PASSWORD_FILE",)


@dataclass(frozen=True)
class ProcessSpec:
    """One process: its name, command, environment, the seconds it may take to stop, and its user.

    Without a user it runs as whoever starts it.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    stop_seconds: float = 10.0
    user: PartUser | None = None


def _pick(environment: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: environment[name] for name in names if name in environment}


def _development_defaults(instance: Instance) -> dict[str, str]:
    """Return what an installation on one machine sets unless told otherwise."""
    defaults = {
        "KMES_DEBUG": "0",
        "KMES_ALLOWED_HOSTS": "127.0.0.1,localhost",
        # Cookies without Secure: plain http, and on the loopback address only.
        "KMES_INSECURE_HTTP": "1",
        "KMES_REDIS_PORT": str(instance.redis_port),
    }
    if instance.stand_in_url:
        defaults["KMES_ALLOW_CUSTOM_ENDPOINTS"] = "1"
        defaults["KMES_CUSTOM_CA_FILE"] = str(instance.path("azure_emulator", "ca.pem"))
        defaults["KMES_STAND_IN_URL"] = instance.stand_in_url
    return defaults


def product_environment(instance: Instance, process: str, *, device: bool = False) -> dict[str, str]:
    """Return the environment of one of the product's own processes.

    ``device`` adds what the HSM needs; the first administrators' password goes to "manage" alone, where
    the mail server's password lies to "reports".
    """
    given = instance.environment
    kept = {name: value for name, value in given.items() if name.startswith("KMES_") or name == "DATABASE_URL"}
    for name in (*_DEVICE, *_FIRST_START, *_MAIL):
        kept.pop(name, None)
    result = {**_pick(given, _BASIC), **_development_defaults(instance), **kept}
    if device:
        result |= _pick(given, _DEVICE)
    else:
        result["KMES_HSM_PIN_FILE"] = NO_PIN_FILE
    # The web process asks the identity provider (docs/company-sign-on.md).
    if process in {"worker", "manage", "web"}:
        result |= _pick(given, _NETWORK)
    if process == "manage":
        result |= _pick(given, _FIRST_START)
    if process == "reports":
        result |= _pick(given, _MAIL)
    if process in {"worker", "beat"}:
        # They sign nothing that another process reads: a random key of their own will do.
        result["KMES_SECRET_KEY_FILE"] = ""
    if process in redis_access.PROCESSES:
        result |= _redis_account(instance, process)
    result |= {
        "KMES_PROCESS": process,
        "KMES_STATE_DIR": str(instance.state_dir),
        "DJANGO_SETTINGS_MODULE": "kmes.settings",
        "PYTHONUNBUFFERED": "1",
        MARK: str(instance.state_dir),
    }
    return result


def _redis_account(instance: Instance, process: str) -> dict[str, str]:
    """Return where a process finds its account at the Redis started here; nothing for a Redis of the user's own."""
    if "KMES_REDIS_URL" in instance.environment:
        return {}
    return {
        "KMES_REDIS_URL": f"redis://{process}@127.0.0.1:{instance.redis_port}/0",
        "KMES_REDIS_PASSWORD_FILE": str(instance.path("redis", f"{process}.password")),
    }


def write_redis_configuration(instance: Instance) -> None:
    """Write Redis' own configuration file below the state folder, and the passwords that are missing.

    Passwords, because any user of this machine reaches the port; one for each process, and one for whoever
    administers it. Append-only and without eviction: a lost hint delays a job by one scan, and keeping it is cheap.
    """
    passwords = {name: _made_password(instance.path("redis", f"{name}.password")) for name in redis_access.PROCESSES}
    lines = [
        "bind 127.0.0.1",
        f"requirepass {_made_password(instance.path('redis', 'password'))}",
        *redis_access.account_lines(passwords, version=_redis_version(instance)),
        f"port {instance.redis_port}",
        f'dir "{instance.path("redis", "data")}"',
        "daemonize no",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        "loglevel notice",
    ]
    path = instance.path("redis", "redis.conf")
    write_private(path, "\n".join(lines) + "\n")


def write_request_keys(instance: Instance) -> None:
    """Make the keys with which web and worker sign what they ask for, where they are missing.

    Raises:
        StartError: they can't be read or written.

    """
    given = instance.environment
    folder = Path(given.get("KMES_REQUEST_KEYS_DIR") or instance.path("request_keys"))
    signers = Path(given.get("KMES_REQUEST_SIGNERS_FILE") or request_keys.default_signers_file(folder))
    try:
        request_keys.make_request_keys(folder, signers)
    except (OSError, ValueError) as error:
        message = f"The keys that sign requests can't be made in {folder}: {error}."
        raise StartError(message) from error


def write_second_factor_key(instance: Instance) -> None:
    """Make the key that seals the seeds of authenticator apps, where it is missing.

    Raises:
        StartError: it can't be written.

    """
    given = instance.environment.get("KMES_SECOND_FACTOR_KEY_FILE")
    path = Path(given) if given else instance.path("second_factor", "key")
    try:
        make_key(path)
    except OSError as error:
        message = f"The key of second factors can't be made in {path}: {error}."
        raise StartError(message) from error


def _made_password(path: Path) -> str:
    """Return the password in a file, made at the first start."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def _redis_version(instance: Instance) -> int:
    """Return the major version of this machine's Redis; 0 if it does not say."""
    environment = _pick(instance.environment, _BASIC)
    try:
        told = subprocess.run(
            ["redis-server", "--version"], env=environment, capture_output=True, text=True, check=False
        ).stdout
    except OSError:
        return 0
    found = re.search(r"v=(\d+)\.", told)
    return int(found.group(1)) if found else 0


def make_secret_key(instance: Instance) -> None:
    """Make Django's signing key unless there is one: web and reports can't write into the state folder."""
    path = instance.path("secret_key")
    if "KMES_SECRET_KEY_FILE" not in instance.environment and not path.exists():
        write_private(path, secrets.token_urlsafe(64))


def _web_command(instance: Instance) -> tuple[str, ...]:
    # --preload: Django is loaded once for both workers, which halves the time to the first page;
    # the web process holds no device and no connection that a fork could spoil.
    options = "--preload --worker-class kmes.web_server.BufferedWorker --workers 2 --threads 4 --timeout 60 --graceful-timeout 10"
    return (
        *(sys.executable, "-m", "gunicorn", "kmes.wsgi", "--bind", f"127.0.0.1:{instance.web_port}"),
        *options.split(),
        *("--no-control-socket", "--log-level", "warning"),
    )


def _worker_command(instance: Instance) -> tuple[str, ...]:
    count = instance.environment.get("KMES_WORKER_CONCURRENCY", "2")
    options = "worker -Q cloud --pool prefork --without-gossip --without-mingle --loglevel warning"
    return (sys.executable, "-m", "celery", "-q", "-A", "kmes.celery", *options.split(), "-c", count)


def process_specs(instance: Instance, users: PartUsers | None = None) -> list[ProcessSpec]:
    """Return the processes of this installation, in the order of their start, each with its user if there are any."""
    python, given = sys.executable, instance.environment
    mark = {MARK: str(instance.state_dir), "PYTHONUNBUFFERED": "1"}
    stand_in = {name: value for name, value in given.items() if name.startswith("AZURE_EMULATOR_")}
    stand_in_command = (python, "-m", "azure_emulator", "--port", str(instance.stand_in_port))
    schedule = str(instance.path("beat", "schedule"))
    # Django's checks would load all pages, which beat has no use for.
    beat_command = (python, "-m", "celery", "-q", "-A", "kmes.celery", "--skip-checks", "beat", "-s", schedule)
    specs = [
        ProcessSpec(
            "redis",
            ("redis-server", str(instance.path("redis", "redis.conf"))),
            {**_pick(given, _BASIC), **mark},
        ),
        ProcessSpec(
            "emulator",
            (*stand_in_command, "--state-dir", str(instance.path("azure_emulator"))),
            {**_pick(given, _BASIC), **stand_in, **mark},
        ),
        ProcessSpec("web", _web_command(instance), product_environment(instance, "web"), 15),
        ProcessSpec("worker", _worker_command(instance), product_environment(instance, "worker", device=True), 90),
        # An empty pid file: ours is var/run/beat.pid, and Celery's own would stay behind a kill -9.
        ProcessSpec(
            "beat", (*beat_command, "--loglevel", "warning", "--pidfile="), product_environment(instance, "beat")
        ),
        ProcessSpec(
            "reports",
            (python, str(ROOT / "manage.py"), "rqworker", "reports", "--verbosity", "0"),
            product_environment(instance, "reports"),
            20,
        ),
    ]
    return [_of_user(spec, users, spec.name) for spec in specs if spec.name not in instance.without]


def prepare_spec(instance: Instance, users: PartUsers | None = None) -> ProcessSpec:
    """Return the one-time process that brings database and device up to date before the others start.

    It does what the worker may, and the worker does not run yet: so it has the worker's user.
    """
    command = (sys.executable, "-m", "kmes.supervision.prepare")
    environment = product_environment(instance, "manage", device=True)
    environment |= {"KMES_SECRET_KEY_FILE": "", **_redis_account(instance, "worker")}
    return _of_user(ProcessSpec("prepare", command, environment), users, "worker")


def _of_user(spec: ProcessSpec, users: PartUsers | None, part: str) -> ProcessSpec:
    """Let a process run as the user of a part, which has no home and may not reach root's folders."""
    if users is None:
        return spec
    environment = {name: value for name, value in spec.environment.items() if name not in {"USER", "TMPDIR"}}
    if folder := spec.environment.get("TMPDIR"):
        with suppress(OSError):
            if Path(folder).stat().st_mode & 0o003 == 0o003:
                environment["TMPDIR"] = folder
    return replace(spec, environment={**environment, "HOME": NO_HOME}, user=users.parts[part])
