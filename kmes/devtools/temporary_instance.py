"""A temporary installation for demo and bench: own ports, own folder, all processes, gone afterwards.

Starts the supervisor as a person would and stops it by SIGTERM; never touches another installation.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from kmes.supervision import readiness
from kmes.supervision.instance import ROOT, STAND_IN_PORTS, Instance

START_SECONDS = 90.0
STOP_SECONDS = 60.0
TURN_SECONDS = 0.05
KEPT_LINES = 15
PORT_TRIES = 200
# Linux connects from 32768 upwards unless told otherwise (ip_local_port_range).
PORTS = (12_000, 32_000)
# The stand-in's seeded client (README, "Five minutes"): public, and of no use elsewhere.
TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
CLIENT_SECRET = "emulator-secret"  # noqa: S105
_KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "KMES_HSM_MODULE")


class UnexpectedResult(Exception):
    """What demo or bench found wrong, as one sentence; the end of the instance's output may follow."""


def free_ports(count: int) -> int:
    """Return the first of ``count`` neighbouring ports that nobody listens on.

    Below the range from which the system takes ports for connections, because another program's
    connection could otherwise take one before the instance listens. Raises UnexpectedResult when there
    are none.
    """
    choose = random.SystemRandom()
    for _ in range(PORT_TRIES):
        first = choose.randrange(*PORTS)
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    message = f"There are no {count} neighbouring free ports on this machine."
    raise UnexpectedResult(message)


class TemporaryInstance:
    """A running temporary installation; use it in a ``with`` statement."""

    def __init__(self, purpose: str, **environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"kmes-{purpose}-"))
        # The users of the processes pass through it.
        self.folder.chmod(0o711)
        self.password = secrets.token_urlsafe(18)
        given: Mapping[str, str] = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self.environment = {
            **given,
            "KMES_STATE_DIR": str(self.folder / "state"),
            "KMES_PORT": str(free_ports(1)),
            "KMES_REDIS_PORT": str(free_ports(1)),
            "AZURE_EMULATOR_PORT": str(free_ports(STAND_IN_PORTS)),
            "KMES_ADMIN_PASSWORD": self.password,
            **environment,
        }
        self.instance = Instance.from_environment(self.environment)
        self._output = self.folder / "output.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start everything and wait until every part is ready."""
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "kmes.supervision", "run"),
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything and remove the folder."""
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # Its children end with it: each asked the kernel for that.
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def output_tail(self) -> str:
        """Return the end of the processes' output."""
        lines = self._output.read_text(errors="replace").splitlines()
        return "\n".join(lines[-KEPT_LINES:])

    def pid_of(self, name: str) -> int:
        """Return the process id that stands in the pid file of a process."""
        return int(self.instance.path("run", f"{name}.pid").read_text())

    def vault_url(self, position: int = 0) -> str:
        """Return the address of a seeded vault; 0 is ``kv-premium``."""
        return f"https://127.0.0.1:{self.instance.stand_in_port + position}"

    @property
    def ca_file(self) -> Path:
        """Return the certificate authority that the stand-in made for itself."""
        return self.instance.path("azure_emulator", "ca.pem")

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            if readiness.failing_parts(self.instance.web_port) == []:
                return
            time.sleep(TURN_SECONDS)
        message = f"The temporary installation did not start:\n{self.output_tail()}"
        raise UnexpectedResult(message)
