"""One supervised process: start, pid file, output, restart with back-off.

Knows nothing of the other processes. The supervisor calls it from one thread only, because
PR_SET_PDEATHSIG is tied to the thread that forks.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import TypedDict

from kmes.supervision.instance import ROOT
from kmes.supervision.output import LineLog, show
from kmes.supervision.part_users import PartUser
from kmes.supervision.processes import ProcessSpec

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
# That of root may hide what others must read; what they must not lies in closed folders (state_files).
UMASK = 0o022
_LIBC = ctypes.CDLL(None)
STEADY_SECONDS = 30.0
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0


def _confine() -> None:
    """Take from this child what it must never have; runs as its own user, before its program.

    The kernel ends it when the supervisor ends for any reason: a change of user would clear that, so it comes after.
    No program that it starts can gain rights, and none of its memory is ever written to a core file.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _AsUser(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]
    umask: int


def as_user(user: PartUser | None) -> _AsUser:
    """Return the arguments with which ``subprocess`` starts a program as this user, in its groups and no other."""
    if user is None:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": list(user.groups), "umask": UMASK}


class Child:
    """A process that runs until told to stop."""

    def __init__(self, spec: ProcessSpec, state_dir: Path) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self.failures = 0
        self.restart_at: float | None = None
        self.log = LineLog(spec.name, state_dir / "log" / f"{spec.name}.log")
        self._pid_file = state_dir / "run" / f"{spec.name}.pid"
        self._started_at = 0.0
        self._stopping = False
        self._kill_at: float | None = None

    @property
    def output_fd(self) -> int | None:
        """The pipe to read from, while there is one."""
        if self.process is None or self.process.stdout is None or self.process.stdout.closed:
            return None
        return self.process.stdout.fileno()

    @property
    def is_gone(self) -> bool:
        """Say whether no process runs and all its output is read."""
        return self.process is None

    def start(self) -> None:
        """Start the process and write its pid file."""
        self.restart_at = None
        self._started_at = time.monotonic()
        # A session of its own: Ctrl-C at the terminal reaches the supervisor only, which then
        # stops its processes in order.
        self.process = subprocess.Popen(
            self.spec.command,
            env=dict(self.spec.environment),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_confine,  # noqa: PLW1509 - there are no threads
            **as_user(self.spec.user),
        )
        if self.process.stdout is not None:
            os.set_blocking(self.process.stdout.fileno(), False)
        temporary = self._pid_file.with_suffix(".tmp")
        temporary.write_text(f"{self.process.pid}\n")
        temporary.replace(self._pid_file)

    def read_output(self) -> None:
        """Read the process's new output; never waits."""
        while (fd := self.output_fd) is not None:
            try:
                data = os.read(fd, 65_536)
            except BlockingIOError:
                return
            if not data and self.process is not None and self.process.stdout is not None:
                # The process closed its end; our end would be reported as readable again and again.
                self.process.stdout.close()
                return
            self.log.feed(data)

    def turn(self) -> None:
        """Notice that the process ended, and restart it when its wait is over."""
        now = time.monotonic()
        if self.process is None:
            if self.restart_at is not None and now >= self.restart_at:
                self.start()
            return
        code = self.process.poll()
        if code is None:
            if self._kill_at is not None and now >= self._kill_at:
                show(f"{self.spec.name} did not stop within {self.spec.stop_seconds:.0f} s and is ended by force")
                self.kill()
            return
        self._ended(code, now)

    def ask_to_stop(self) -> None:
        """Send SIGTERM and set the time after which it is ended by force."""
        self._stopping = True
        self.restart_at = None
        if self.process is not None and self._kill_at is None:
            self._kill_at = time.monotonic() + self.spec.stop_seconds
            self.process.terminate()

    def kill(self) -> None:
        """End the process and all that it started."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Close the log; the process is gone."""
        self.log.close()

    def _ended(self, code: int, now: float) -> None:
        self.read_output()
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        self._kill_at = None
        self._pid_file.unlink(missing_ok=True)
        if self._stopping:
            return
        self.failures = 1 if now - self._started_at > STEADY_SECONDS else self.failures + 1
        wait = min(FIRST_WAIT_SECONDS * 2 ** (self.failures - 1), LONGEST_WAIT_SECONDS)
        self.restart_at = now + wait
        why = f"by signal {-code}" if code < 0 else f"with code {code}"
        show(f"{self.spec.name} ended {why}; it starts again in {wait:g} s")
