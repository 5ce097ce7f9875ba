"""Starts the processes of one installation in order, keeps them running, stops them in order.

One thread, one loop: each turn reads the processes' output and restarts those that ended.
"""

from __future__ import annotations

import hashlib
import selectors
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from kmes.supervision import readiness
from kmes.supervision.child import Child
from kmes.supervision.instance import ROOT, Instance, StartError
from kmes.supervision.orphans import end_orphans
from kmes.supervision.output import show
from kmes.supervision.part_users import PartUsers
from kmes.supervision.preparation import Preparation
from kmes.supervision.processes import prepare_spec, process_specs
from kmes.supervision.start_files import prepare_files

TURN_SECONDS = 0.1
# Processes that send requests stop before those that answer them.
STOP_ORDER = (("beat", "web", "reports"), ("worker",), ("emulator",), ("redis",))
FAILURES_AT_START = 3
START_SECONDS = 90.0
# How often a start says that the preparation is at work. It has no limit: one that is cut short in the migration of a large
# database would have to begin again, and never end.
STILL_PREPARING_SECONDS = 20.0
READY_SECONDS = 45.0
SAME_SIGNAL_SECONDS = 2.0


def migrations_digest() -> str:
    """Return a hash of all migrations; a start with unchanged migrations need not wait for their check."""
    digest = hashlib.sha256()
    for path in sorted(ROOT.glob("*/migrations/*.py")) + sorted(ROOT.glob("kmes/*/migrations/*.py")):
        digest.update(path.read_bytes())
    digest.update((ROOT / "requirements" / "base.txt").read_bytes())
    return digest.hexdigest()


class Supervisor:
    """All processes of one installation."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.children: dict[str, Child] = {}
        self.signals = 0
        self._first_signal_at = 0.0
        self.notes = ""
        self.users: PartUsers | None = None

    def run(self) -> int:
        """Run until told to stop; returns the exit code.

        Raises StartError before anything was started when something is missing.
        """
        self.instance.make_folders()
        lock = self.instance.lock()
        with lock:
            if ended := end_orphans(self.instance.state_dir):
                show(f"Ended {ended} processes that an earlier supervisor left behind.")
            self.instance.check_programs()
            self.instance.check_ports()
            self.users = prepare_files(self.instance)
            for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(name, self._on_signal)
            try:
                self._start_all()
                while not self.signals:
                    self.turn()
            finally:
                self._stop_all()
        return 0

    # --- The loop ---------------------------------------------------------------------------
    def turn(self) -> None:
        """Read all output, then check each process; waits at most TURN_SECONDS."""
        with selectors.DefaultSelector() as selector:
            for child in self.children.values():
                if child.output_fd is not None:
                    selector.register(child.output_fd, selectors.EVENT_READ, child)
            # Without a pipe to watch this is a sleep.
            for key, _events in selector.select(TURN_SECONDS):
                key.data.read_output()
        for child in self.children.values():
            child.turn()

    def _turn_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Run turns until the condition holds, a signal comes, or the time is over."""
        deadline = time.monotonic() + seconds
        while not self.signals and time.monotonic() < deadline:
            if condition():
                return True
            self.turn()
        return False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.signals:
            self._first_signal_at = now
        elif now - self._first_signal_at < SAME_SIGNAL_SECONDS:
            # make forwards the SIGTERM that its process group received too: it is one request.
            return
        self.signals += 1

    # --- Start ------------------------------------------------------------------------------
    def _start(self, *names: str) -> None:
        for spec in process_specs(self.instance, self.users):
            if spec.name in names and spec.name not in self.children:
                child = Child(spec, self.instance.state_dir)
                self.children[spec.name] = child
                child.start()

    def _start_all(self) -> None:
        show(f"Starting the console; its state lies in {self.instance.state_dir}.")
        self._start("redis", "emulator")
        stamp, digest = self.instance.path("run", "prepared"), migrations_digest()
        if self._is_prepared(stamp, digest):
            # The database is up to date, so the web process need not wait for the preparation.
            self._start("web")
        self._prepare()
        if self.signals:
            return
        stamp.write_text(digest)
        # The report worker comes last, because no part of readiness waits for it.
        self._start("web", "worker", "beat")
        self._await_web()
        self._start("reports")
        self._show_welcome()
        self._await_parts()

    def _is_prepared(self, stamp: Path, digest: str) -> bool:
        embedded = "DATABASE_URL" not in self.instance.environment and self.instance.path("db.sqlite3").exists()
        return embedded and stamp.exists() and stamp.read_text() == digest

    def _prepare(self) -> None:
        """Run the one-time preparation beside Redis and the stand-in, and the web process once it has its database.

        Raises StartError with its sentence when it fails.
        """
        preparation = Preparation(prepare_spec(self.instance, self.users))

        def is_over() -> bool:
            if preparation.is_database_ready():
                self._start("web")
            return preparation.has_ended() or self._start_failure() is not None

        while not self._turn_until(is_over, STILL_PREPARING_SECONDS) and not self.signals:
            show("Still preparing database and device; a large database takes minutes.")
        failure = self._start_failure()
        if failure or self.signals:
            preparation.end()
        notes = preparation.read()
        if failure:
            raise StartError(failure)
        if self.signals:
            return
        self.notes = notes

    def _start_failure(self) -> str | None:
        """Return a sentence if a process failed repeatedly at the start."""
        for name, child in self.children.items():
            if child.failures >= FAILURES_AT_START:
                path = self.instance.path("log", f"{name}.log")
                return f"The process {name} does not start: {child.log.last_line or 'no words'} (more in {path})."
        return None

    def _await_web(self) -> None:
        if "web" not in self.children:
            return
        port = self.instance.web_port
        done = self._turn_until(lambda: readiness.answers(port) or self._start_failure() is not None, START_SECONDS)
        if failure := self._start_failure():
            raise StartError(failure)
        if not done and not self.signals:
            show(f"The console gives no answer at {self.instance.url} yet; see {self.instance.path('log', 'web.log')}.")

    def _show_welcome(self) -> None:
        """Print the console's address and the first administrators."""
        if self.signals:
            return
        show("")
        for line in self.notes.strip().splitlines():
            show(f"  {line}")
        if self.instance.stand_in_url:
            show(f"  Azure stand-in  {self.instance.stand_in_url}")
        show(f"  Logs            {self.instance.path('log')}")
        show(f"  Console         {self.instance.url}")
        show("  Ctrl-C stops everything; the state stays.")
        show("")

    def _await_parts(self) -> None:
        """Wait until database, Redis, worker and device work; the console is usable meanwhile."""
        if "web" not in self.children:
            return
        port = self.instance.web_port
        if self._turn_until(lambda: readiness.failing_parts(port) == [], READY_SECONDS):
            show("All parts are ready.")
        elif not self.signals:
            parts = readiness.failing_parts(port)
            show(f"Not ready yet: {', '.join(parts or ['no answer'])}. See {self.instance.path('log')}.")

    # --- Stop -------------------------------------------------------------------------------
    def _stop_all(self) -> None:
        """Stop group by group; another signal while stopping ends all by force."""
        if self.signals:
            show("Stopping.")
        asked = self.signals
        for names in STOP_ORDER:
            group = [self.children[name] for name in names if name in self.children]
            for child in group:
                child.ask_to_stop()
            while not all(child.is_gone for child in group):
                if self.signals > max(asked, 1):
                    for child in self.children.values():
                        child.ask_to_stop()
                        child.kill()
                self.turn()
        for child in self.children.values():
            child.close()
        if asked:
            show("Stopped.")
