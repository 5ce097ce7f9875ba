"""One installation below one state folder: its ports, its folders, its lock.

Checks what must be true before processes start, and reports in one sentence what is not. Starts
no process and reads no setting of the product.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
# "static" stays empty here, where the pages find their files in place; whitenoise wants it to exist.
FOLDERS = (
    *("", "run", "log", "redis", "redis/data", "beat", "exports", "azure_emulator", "hsm", "static"),
    # What several parts read or write lies in folders of its own (kmes.supervision.state_files).
    *("database", "pinned"),
)
HIGHEST_PORT = 65_535
STAND_IN_PORTS = 3
SHOWN_NAMES = ("redis", "emulator", "web", "worker", "beat", "reports")


class StartError(Exception):
    """Why this installation can't start, as one sentence that says what to do."""


def _port(environment: Mapping[str, str], name: str, default: int, span: int = 1) -> int:
    text = environment.get(name, "") or str(default)
    if not text.isdecimal() or not 0 < int(text) <= HIGHEST_PORT - span + 1:
        message = f"{name} must be a port number, not '{text}'."
        raise StartError(message)
    return int(text)


@dataclass(frozen=True)
class Instance:
    """Where one installation lives and which of its processes run here."""

    state_dir: Path
    web_port: int
    redis_port: int
    stand_in_port: int
    without: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], without: frozenset[str] = frozenset()) -> Instance:
        """Read ports and folder from environment variables.

        Raises StartError for a port that is none and for an unknown process to leave out.
        """
        left_out = set(without)
        if environment.get("KMES_AZURE_STAND_IN", "1").lower() in {"0", "no", "false", "off"}:
            left_out.add("emulator")
        if environment.get("KMES_REDIS_URL"):
            left_out.add("redis")
        if unknown := left_out - set(SHOWN_NAMES):
            message = f"There is no process named {', '.join(sorted(unknown))}; there are {', '.join(SHOWN_NAMES)}."
            raise StartError(message)
        return cls(
            state_dir=Path(environment.get("KMES_STATE_DIR") or ROOT / "var").expanduser().resolve(),
            web_port=_port(environment, "KMES_PORT", 8000),
            redis_port=_port(environment, "KMES_REDIS_PORT", 6390),
            stand_in_port=_port(environment, "AZURE_EMULATOR_PORT", 8443, STAND_IN_PORTS),
            without=frozenset(left_out),
            environment=dict(environment),
        )

    @property
    def url(self) -> str:
        """Where the console answers."""
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def stand_in_url(self) -> str:
        """Where the stand-in answers; empty when this installation runs none."""
        return "" if "emulator" in self.without else f"https://127.0.0.1:{self.stand_in_port}"

    def path(self, *parts: str) -> Path:
        """Give a path below the state folder."""
        return self.state_dir.joinpath(*parts)

    def make_folders(self) -> None:
        """Make the state folder and what lies in it, for this user only.

        Changes nothing that exists, because another instance may run on it. Raises StartError when a folder can't be
        written.
        """
        for name in FOLDERS:
            folder = self.state_dir / name
            # Not to be guessed, because a part writes to some of these folders.
            probe = folder / f".probe-{secrets.token_hex(8)}"
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                # A file is created because os.access reports success to root, even on a
                # read-only file system.
                os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                probe.unlink()
            except OSError as error:
                raise StartError(self._why_not_written(folder, error)) from error

    def _why_not_written(self, folder: Path, error: OSError) -> str:
        what = f"The folder {folder} can't be written ({error.strerror})"
        with suppress(OSError):
            if isinstance(error, PermissionError) and self.state_dir.stat().st_uid == 0 and self.path("run").is_dir():
                return (
                    f"{what}: the console was started as root here before. Start it as root again, "
                    f"or stop it and type `sudo chown -R {os.geteuid()} {self.state_dir}`."
                )
        return f"{what}: make it yours, or name another one in KMES_STATE_DIR."

    def lock(self) -> IO[str]:
        """Take the lock that one running instance holds; it ends with the process, however that ends.

        Raises StartError when another instance has it.
        """
        # The caller keeps the file open for as long as it runs.
        handle = self.path("run", "supervisor.lock").open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            holder = handle.read().strip()
            handle.close()
            message = f"Another instance already runs on {self.state_dir} (process {holder or 'unknown'}): "
            message += "stop it, or name another folder in KMES_STATE_DIR."
            raise StartError(message) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        os.set_inheritable(handle.fileno(), False)
        return handle

    def check_ports(self) -> None:
        """Look whether the ports are free.

        Raises StartError that names the port in use and the variable to change.
        """
        wanted = [("web", self.web_port, "KMES_PORT"), ("redis", self.redis_port, "KMES_REDIS_PORT")]
        stand_in_ports = range(self.stand_in_port, self.stand_in_port + STAND_IN_PORTS)
        wanted += [("emulator", port, "AZURE_EMULATOR_PORT") for port in stand_in_ports]
        for name, port, variable in wanted:
            if name in self.without:
                continue
            with socket.socket() as probe:
                # As the servers themselves do: a port in TIME_WAIT is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    rest = " (it and the two ports above it must be free)" if name == "emulator" else ""
                    message = f"Port {port} is already in use: set {variable} to another one{rest}."
                    raise StartError(message) from error

    def check_programs(self) -> None:
        """Look whether the programs that aren't Python's are there.

        Raises StartError that says how to install the missing one.
        """
        if "redis" not in self.without and not shutil.which("redis-server", path=self.environment.get("PATH")):
            message = "redis-server is missing: install it by `sudo apt-get install -y redis-server`, "
            message += "or name a Redis of yours in KMES_REDIS_URL."
            raise StartError(message)
