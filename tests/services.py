"""Starts the real services that tests speak to, each on a free loopback port, each stopped after.

Owns processes and temporary folders; must not import Django or anything of ours, because it runs
before the settings are read.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Long, because services start side by side on busy machines; what has ended is noticed at once.
START_SECONDS = 120.0
# Linux connects from 32768 upwards unless told otherwise (ip_local_port_range).
OWN_PORTS = (12_000, 32_000)
# Old claims are given up: by then the service listens, or is over.
CLAIMS = 100
_claims: list[socket.socket] = []


class ServiceError(Exception):
    """A service for the tests did not start; the text holds its last words."""


def free_port(count: int = 1) -> int:
    """Return the first of ``count`` neighbouring ports, this process's own for long enough.

    Between the choice and the service's start, nobody may take them. So they lie below the range
    the system hands out to connections by itself, and test processes tell each other what they
    hold: by Unix sockets with abstract names, which the kernel forgets with their owner.
    """
    choose = random.SystemRandom()
    for _ in range(200):
        first = choose.randrange(*OWN_PORTS)
        claims = [socket.socket(socket.AF_UNIX) for _ in range(count)]
        try:
            for offset, claim in enumerate(claims):
                claim.bind(f"\0kmes-tests-port-{first + offset}")
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", first + offset))
        except OSError:
            for claim in claims:
                claim.close()
            continue
        _claims.extend(claims)
        while len(_claims) > CLAIMS:
            _claims.pop(0).close()
        return first
    message = f"no {count} neighbouring free ports"
    raise ServiceError(message)


@atexit.register
def _give_claims_up() -> None:
    for claim in _claims:
        claim.close()


def open_folder(prefix: str) -> Path:
    """Make a temporary folder through which the users of the console's processes may pass."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o711)
    return folder


def wait_until(answers: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll until the service answers.

    Raises ServiceError with the end of its log when it ends or stays silent.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if answers():
            return
        time.sleep(0.02)
    process.kill()
    raise ServiceError(log.read_text(errors="replace")[-2000:] or "no word from the service")


def stop(process: subprocess.Popen[bytes], *, sent: signal.Signals = signal.SIGTERM, seconds: float = 20) -> None:
    """End one process that we started, gently first."""
    if process.poll() is None:
        process.send_signal(sent)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def listens(port: int) -> bool:
    """Say whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running_redis(folder: Path, port: int, *options: str) -> Iterator[str]:
    """Run a Redis that keeps nothing, with further options; yields its URL."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "redis.log"
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *options]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "--dir", str(folder)], stdout=output, stderr=output)
    try:
        wait_until(lambda: listens(port), process, log)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        stop(process)


@contextlib.contextmanager
def running_redis_of(configuration: Path, port: int) -> Iterator[None]:
    """Run a Redis with its own configuration file."""
    log = configuration.with_name("redis.log")
    with log.open("wb") as output:
        process = subprocess.Popen(["redis-server", str(configuration)], stdout=output, stderr=output)
    try:
        wait_until(lambda: listens(port), process, log)
        yield
    finally:
        stop(process)


# --- PostgreSQL -----------------------------------------------------------------------------
def _postgres_program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if not path:
        message = f"{name} is missing: install package postgresql"
        raise ServiceError(message)
    return path


class Postgres:
    """A throw-away PostgreSQL that can be stopped and started again.

    It refuses to run as root, so root hands the folder to the user ``postgres``.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Its folders must be reachable for another user; pytest makes them for the owner only.
        self._identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
            for parent in (folder, *folder.parents):
                if parent.stat().st_uid == 0 and parent != Path("/") and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
            self._identity = {"user": "postgres", "group": "postgres", "extra_groups": []}
        self._folder, self._port = folder, free_port()
        self._data, self._log = folder / "data", folder / "postgres.log"
        self._log.touch()
        make = [_postgres_program("initdb"), "-D", str(self._data), "-U", "kmes", "--auth=trust", "-E", "UTF8"]
        subprocess.run(
            [*make, "--no-sync", "--locale=C.UTF-8"], check=True, capture_output=True, cwd=folder, **self._identity
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its DATABASE_URL."""
        return f"postgres://kmes@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [_postgres_program("postgres"), "-D", str(self._data), "-p", str(self._port), "-h", "127.0.0.1"]
        command += ["-k", str(self._folder)]
        # A test database is thrown away: durability would only make it slow.
        for option in ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60"):
            command += ["-c", option]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, cwd=self._folder, **self._identity)
        ready = [_postgres_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, self._process, self._log)

    def stop(self) -> None:
        """Stop it at once, as ``pg_ctl stop -m fast`` does: every connection is cut."""
        if self._process is not None:
            stop(self._process, sent=signal.SIGINT)


@contextlib.contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """Run a throw-away PostgreSQL; yields its DATABASE_URL."""
    server = Postgres(folder)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()


# --- The stand-in for Azure -----------------------------------------------------------------
@dataclass
class StandIn:
    """A running stand-in: where it is, whose certificate to trust, and its control paths."""

    port: int
    state_dir: Path

    @property
    def url(self) -> str:
        """Token endpoint, ARM and the vault kv-premium."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The certificate authority that it made for itself."""
        return self.state_dir / "ca.pem"

    def vault_url(self, name: str) -> str:
        """Give the address of one of the three seeded vaults."""
        return f"https://127.0.0.1:{self.port + ['kv-premium', 'kv-protected', 'kv-standard'].index(name)}"

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Speak to a control path, such as ``POST /_emulator/faults``; returns the JSON answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        context = ssl.create_default_context(cafile=str(self.ca_file))
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def reset(self) -> None:
        """Forget all keys, faults and requests."""
        self.control("POST", "/_emulator/reset")

    def answers(self) -> bool:
        """Say whether it is up."""
        try:
            self.control("GET", "/_emulator/requests")
        except (OSError, urllib.error.URLError):
            return False
        return True


@contextlib.contextmanager
def running_stand_in(state_dir: Path, port: int, *options: str) -> Iterator[StandIn]:
    """Run the stand-in on ``port`` and the two ports above it."""
    state_dir.mkdir(parents=True, exist_ok=True)
    log = state_dir / "stand_in.log"
    stand_in = StandIn(port, state_dir)
    command = [sys.executable, "-m", "azure_emulator", "--port", str(port), "--state-dir", str(state_dir), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)
    try:
        wait_until(stand_in.answers, process, log)
        yield stand_in
    finally:
        stop(process)
