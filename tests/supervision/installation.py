"""A supervisor as a person starts it, on its own ports and an own state folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import services

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a pass phrase for this test only"
# Long, because a busy machine takes its time; what has ended is noticed at once.
SECONDS = 110


class Installation:
    """A supervisor as a person starts it, and what can be seen of it from outside."""

    def __init__(self, state: Path, **environment: str) -> None:
        self.state = state
        self.port = services.free_port()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(state.parent),
            "KMES_STATE_DIR": str(state),
            "KMES_PORT": str(self.port),
            "KMES_REDIS_PORT": str(services.free_port()),
            "AZURE_EMULATOR_PORT": str(services.free_port(3)),
            "KMES_ADMIN_PASSWORD": PASSWORD,
            **environment,
        }
        self.process: subprocess.Popen[str] | None = None
        self.first_words = ""

    @property
    def command(self):
        return [sys.executable, "-m", "kmes.supervision", "run"]

    def start(self):
        output = (self.state.parent / "output.txt").open("w")
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env=self.environment, stdout=output, stderr=output, text=True
        )
        output.close()
        # Its own words and not the port: what an earlier supervisor left behind may still answer there.
        self.await_that(lambda: "All parts are ready." in self.output())
        self.first_words = self.first_words or self.output()

    def stop(self, sent=signal.SIGTERM):
        self.process.send_signal(sent)
        return self.process.wait(SECONDS)

    def refuse(self, **more):
        """Start it where it can't start; returns the exit code and what was said."""
        done = subprocess.run(
            self.command,
            cwd=ROOT,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def output(self):
        return (self.state.parent / "output.txt").read_text()

    def pids(self):
        files = (self.state / "run").glob("*.pid")
        return {path.stem: int(path.read_text()) for path in files}

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    @property
    def is_ready(self):
        return self.get("/readyz")[0] == 200

    def await_that(self, condition):
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if condition():
                return
            time.sleep(0.05)
        pytest.fail(f"it never came true:\n{self.output()}")


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


@contextlib.contextmanager
def installed() -> Iterator[Installation]:
    """An installation that can be started, where the users of its processes reach it; ended and removed in the end."""
    folder = services.open_folder("kmes-installation-")
    installation = Installation(folder / "state")
    try:
        yield installation
    finally:
        if installation.process is not None and installation.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                installation.stop()
            installation.process.kill()
        shutil.rmtree(folder, ignore_errors=True)
