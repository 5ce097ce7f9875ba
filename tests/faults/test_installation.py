"""A whole installation under load, with its real processes: killed, stopped, frozen, its Redis emptied.

``make test`` runs it with short timers; FAULTS=all with the product's own, and prints how long it took until
every job moved again.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error

import pytest
import redis

from kmes.devtools.console_client import ConsoleClient
from kmes.devtools.temporary_instance import TemporaryInstance
from kmes.supervision.instance import ROOT
from kmes.supervision.processes import product_environment
from tests import services
from tests.jobs.observer import VaultObserver

pytestmark = pytest.mark.timeout(600)
REAL = os.environ.get("FAULTS") == "all"
SHORT = {
    "KMES_SCAN_SECONDS": "1",
    "KMES_ROTATION_SCAN_SECONDS": "1",
    "KMES_LEASE_SECONDS": "6",
    "KMES_HEARTBEAT_SECONDS": "2",
    "KMES_UNKNOWN_QUARANTINE_SECONDS": "3",
    "KMES_SEND_SECONDS": "2",
}
# Lease, scan and restart of the processes together; with the product's timers 90 s.
MOVING_SECONDS = 90 if REAL else 45
PAGES = ("/", "/keys/", "/jobs/", "/logs/", "/healthz")


class Installation(TemporaryInstance):
    """A temporary installation, its user, and an observer of its vault."""

    def __init__(self, **environment):
        timers = {**({} if REAL else SHORT), "KMES_KEK_SWEEP_SECONDS": "5", "KMES_DRIFT_SCAN_SECONDS": "3"}
        super().__init__("faults", **timers, **environment)
        self.stand_in = services.StandIn(self.instance.stand_in_port, self.instance.path("azure_emulator"))

    def ask(self, *command):
        """Ask for something as a user, or for what the rows say."""
        environment = {**product_environment(self.instance, "web"), "KMES_CUSTOM_CA_FILE": str(self.ca_file)}
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.console", *map(str, command)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    def load(self, prefix, *, groups=4, keys=3, vault="kv-premium"):
        """Let a user push keys of several groups at once, into a vault that takes its time."""
        self.stand_in.control("POST", "/_emulator/faults", {"method": "PUT", "delay_ms": 700, "count": 10_000})
        return self.ask("load", self.stand_in.url, self.stand_in.vault_url(vault), prefix, groups, keys)

    def jobs(self, codes):
        """Tell the state of these jobs."""
        told = self.ask("jobs")
        return {code: told[code] for code in codes}

    def await_that(self, condition, seconds, what):
        """Poll until something holds; returns how many seconds that took."""
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            if condition():
                return time.monotonic() - begun
            time.sleep(0.3)
        raise AssertionError(f"{what} within {seconds} s: {self.ask('jobs')}\n{self.last_words()}")

    def kill(self, *names):
        """End processes without a word."""
        for name in names:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid_of(name), signal.SIGKILL)

    def settle(self, codes, *, seconds=300):
        """Wait until the jobs have succeeded, and hold the vault against the rows."""

        def over():
            return all(state == "succeeded" for _kind, state, *_rest in self.jobs(codes).values())

        self.await_that(over, seconds, "not all jobs succeeded")
        self.stand_in.control("DELETE", "/_emulator/faults")
        self.await_that(lambda: self.broken() == [], 60, f"broken: {self.broken()}")

    def broken(self):
        """Say which invariants don't hold: I1, I2, I8, I9 of the whole installation."""
        facts, found = self.ask("facts"), []
        observer = VaultObserver(self.stand_in)
        there = {}
        for name in {*facts["versions"].values()}:
            there.update(dict.fromkeys(observer.versions(name), name))
        if there != facts["versions"]:
            found.append(f"I1, I2: in the vault {there}, here {facts['versions']}")
        if keks := observer.keks() + facts["keks"]:
            found.append(f"I8: {keks} are left")
        if facts["broken_chains"] or facts["in_doubt"]:
            found.append(f"I9: {facts['broken_chains']} broken, {facts['in_doubt']} calls in doubt")
        return found


@pytest.fixture(scope="module")
def installation():
    with Installation() as running:
        yield running


@contextlib.contextmanager
def pages_watched(installation):
    """Open pages all the while; yields the statuses that are no page: 500 and the like (I12)."""
    bad, done = [], threading.Event()
    visitor = ConsoleClient(installation.instance.url)
    visitor.sign_in("admin1", installation.password)

    def watch():
        while not done.is_set():
            for path in PAGES:
                # While the web process itself is dead nobody answers; that is no page either.
                with contextlib.suppress(urllib.error.URLError, OSError):
                    page = visitor.open(path)
                    if page.status >= 500 and page.status != 503:
                        bad.append((path, page.status, page.words()[:200]))
            time.sleep(0.2)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield bad
    finally:
        done.set()
        thread.join()


def open_redis(installation):
    password = installation.instance.path("redis", "password").read_text()
    return redis.Redis(port=installation.instance.redis_port, password=password)


@contextlib.contextmanager
def secrets_watched(installation):
    """Listen to all that Redis is told; yields what held a secret, and looks into logs and database after (I11)."""
    secrets = [
        b"emulator-secret",
        installation.password.encode(),
        installation.instance.path("hsm", "pin").read_bytes().strip(),
    ]
    found, client = [], open_redis(installation)
    done = threading.Event()

    def listen():
        with client.monitor() as monitor:
            while not done.is_set():
                told = monitor.next_command()["command"].encode()
                found.extend(told for secret in secrets if secret in told)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield found
    done.set()
    client.ping()
    thread.join(10)
    files = [*installation.instance.path("log").glob("*"), installation.instance.path("db.sqlite3")]
    files += installation.instance.path("redis").rglob("*.aof")
    found.extend(str(file) for file in files for secret in secrets if secret in file.read_bytes())


def test_everything_killed_at_once_under_load_goes_on_by_itself(installation):
    codes = installation.load("killed", groups=5, keys=12)
    installation.await_that(
        lambda: any(state == "running" for _kind, state, *_ in installation.jobs(codes).values()), 60, "no job runs"
    )
    before = {code: told for code, told in installation.jobs(codes).items() if told[1] == "running"}
    assert before, "the load was over before the kill"
    with pages_watched(installation) as bad:
        installation.kill("worker", "beat", "redis", "web")

        def moving():
            now = installation.jobs(before)
            # Claimed anew since, or over.
            return all(now[code][2] > told[2] or now[code][1] == "succeeded" for code, told in before.items())

        took = installation.await_that(moving, MOVING_SECONDS, "not all jobs moved")
        print(
            f"\nthe {len(before)} running jobs of {len(codes)} moved {took:.0f} s after kill -9 of worker, beat, Redis and web"
        )
        installation.settle(codes)
    assert bad == []


@pytest.mark.skipif(not REAL, reason="part of make faults")
def test_a_redis_that_comes_back_empty_loses_nothing(installation):
    codes = installation.load("redis")
    with pages_watched(installation) as bad:
        open_redis(installation).flushall()
        installation.kill("redis")
        installation.settle(codes)
    assert bad == []


def test_a_worker_that_is_asked_to_stop_gives_its_jobs_back_at_once(installation):
    with secrets_watched(installation) as found:
        codes = installation.load("stopped", groups=2, keys=40)
    assert found == []
    installation.await_that(
        lambda: any(state == "running" for _kind, state, *_ in installation.jobs(codes).values()), 60, "no job runs"
    )
    pid = installation.pid_of("worker")
    os.kill(pid, signal.SIGTERM)
    took = installation.await_that(
        lambda: (
            not any(
                told[1] == "running" and told[3] == "" and told[2] == 1 for told in installation.jobs(codes).values()
            )
        ),
        12,
        "a job was held by a worker that stops",
    )
    print(f"\njobs were given back {took:.1f} s after SIGTERM")
    installation.settle(codes)


@pytest.mark.skipif(not REAL, reason="part of make faults")
def test_two_beats_at_once_and_one_that_stood_still_make_one_rotation(installation):
    codes = installation.load("beats", groups=1, keys=1)
    installation.settle(codes)
    beat = installation.pid_of("beat")
    os.kill(beat, signal.SIGSTOP)
    try:
        assert installation.ask("due", "beats-0") == 1
        time.sleep(3 if not REAL else 45)
    finally:
        os.kill(beat, signal.SIGCONT)
    command = [sys.executable, "-m", "celery", "-q", "-A", "kmes.celery", "beat", "--pidfile=", "--loglevel", "warning"]
    second = subprocess.Popen(
        [*command, "-s", str(installation.folder / "second")],
        cwd=ROOT,
        env=product_environment(installation.instance, "beat"),
    )
    try:
        rotations = lambda: [told for told in installation.ask("jobs").values() if told[0] == "rotate"]  # noqa: E731
        wait = 150 if REAL else 40
        installation.await_that(lambda: [told[1] for told in rotations()] == ["succeeded"], wait, "not rotated once")
        time.sleep(3)
        assert len(rotations()) == 1
    finally:
        second.terminate()
        second.wait()
    installation.await_that(lambda: installation.broken() == [], 60, f"broken: {installation.broken()}")
