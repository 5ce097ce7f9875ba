"""Measures pushes against a bare script, memory, and pages at full size; prints one JSON line for each.

Runs on a temporary installation with its real worker, SoftHSM, Redis and stand-in. Pushes are timed through
the services (``push_driver``) and not through the pages, from the request to the job's end.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import django

from kmes.devtools import process_memory
from kmes.devtools.console_client import ConsoleClient, PageError
from kmes.devtools.temporary_instance import TemporaryInstance, UnexpectedResult
from kmes.devtools.vault_client import VaultClient, VaultError
from kmes.supervision.instance import ROOT, SHOWN_NAMES
from kmes.supervision.processes import product_environment

if TYPE_CHECKING:
    from kmes.devtools.push_driver import PushDriver

KEYS_PER_JOB = 20
# Of pushes while the memory is watched; the timed ones come after them, on a warm worker.
ROUNDS = 10
WARMING_VISITS = 10
WARMING_JOBS = 4
LATENCIES_MS = (0, 50)
TIMED_RUNS = 5
# The stand-in rests once it computed next to nothing for so long; it is waited for no longer than that.
QUIET_SECONDS, REST_SECONDS = 0.2, 10.0
SDK_SCRIPT = "tests.devtools.bare_sdk"
PLAIN_SCRIPT = "kmes.devtools.bare_push"
# Starts the PostgreSQL of the tests, and runs page_bench on it.
FULL_PAGES = "tests.devtools.full_pages"


def push_bare(temporary: TemporaryInstance, script: str) -> float:
    """Push as many keys by a bare script; returns the seconds it measured.

    Raises UnexpectedResult when it fails.
    """
    command = [sys.executable, "-m", script, temporary.vault_url(), temporary.instance.stand_in_url]
    command += ["--ca-file", str(temporary.ca_file), "--count", str(KEYS_PER_JOB)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, env=temporary.environment)
    if done.returncode:
        message = f"The bare script failed: {(done.stderr.strip().splitlines() or ['no words'])[-1]}"
        raise UnexpectedResult(message)
    return float(done.stdout)


def set_latency(temporary: TemporaryInstance, milliseconds: int) -> None:
    """Let the stand-in delay each answer, as the real service's distance does."""
    control = VaultClient(temporary.vault_url(), ca_file=temporary.ca_file)
    control.call("POST", "/_emulator/settings", {"latency_ms": milliseconds})
    control.close()


def let_stand_in_rest(temporary: TemporaryInstance) -> None:
    """Wait until the stand-in computes no more: it makes RSA keys ahead, beside whoever is timed next."""
    family, deadline = process_memory.family_of(temporary.pid_of("emulator")), time.monotonic() + REST_SECONDS
    while time.monotonic() < deadline:
        before = process_memory.cpu_seconds(family)
        time.sleep(QUIET_SECONDS)
        if process_memory.cpu_seconds(family) - before < QUIET_SECONDS / 10:
            return


def print_line(**values: object) -> None:
    """Print one result."""
    print(json.dumps(values), flush=True)


def time_pushes(temporary: TemporaryInstance, driver: PushDriver, latency: int) -> None:
    """Time product and bare scripts in turns at one latency, and print the medians.

    ``bare_s`` is the Azure SDK's, as in the product; without an SDK the same calls take ``plain_https_s``.
    """
    keys = [driver.make_keys(KEYS_PER_JOB) for _ in range(TIMED_RUNS)]
    set_latency(temporary, latency)
    ours, bare, plain = [], [], []
    for each in keys:
        let_stand_in_rest(temporary)
        bare.append(push_bare(temporary, SDK_SCRIPT))
        let_stand_in_rest(temporary)
        plain.append(push_bare(temporary, PLAIN_SCRIPT))
        let_stand_in_rest(temporary)
        ours.append(driver.push(each))
    set_latency(temporary, 0)
    product_s, bare_s = statistics.median(ours), statistics.median(bare)
    print_line(
        name=f"push_{KEYS_PER_JOB}_p256",
        latency_ms=latency,
        product_s=round(product_s, 3),
        bare_s=round(bare_s, 3),
        ratio=round(product_s / bare_s, 2),
        plain_https_s=round(statistics.median(plain), 3),
        runs=TIMED_RUNS,
    )


class PageLoad:
    """Opens the console's pages, as people do while jobs run."""

    def __init__(self, temporary: TemporaryInstance) -> None:
        self._console = ConsoleClient(temporary.instance.url)
        self._console.sign_in("admin1", temporary.password)

    def __call__(self) -> None:
        """Open the pages that are used most.

        Raises PageError when one does not open.
        """
        for path in ("/keys/", "/jobs/", "/jobs/drawer/", "/logs/?service=azure"):
            page = self._console.open(path)
            if page.status != http.client.OK:
                message = f"{path} answered {page.status}: {page.words()[:400]}"
                raise PageError(message)


def measure(temporary: TemporaryInstance) -> dict[str, dict[str, float]]:
    """Return each process's memory with its children: shares of shared pages, and the largest one's resident."""
    found = {}
    for name in SHOWN_NAMES:
        family = process_memory.family_of(temporary.pid_of(name))
        found[name] = {
            "total": sum(process_memory.proportional_mb(pid) for pid in family),
            "largest": max(process_memory.resident_mb(pid) for pid in family),
        }
    return found


def watch_memory(temporary: TemporaryInstance, driver: PushDriver, beside: Callable[[], None]) -> None:
    """Push 200 keys and print what each process takes before, after 100 and after 200.

    ``beside`` is done once each push, so that the web process works as well.
    """
    idle = measure(temporary)
    halfway: dict[str, dict[str, float]] = {}
    for number in range(ROUNDS):
        if number == ROUNDS // 2:
            halfway = measure(temporary)
        driver.push(driver.make_keys(KEYS_PER_JOB))
        beside()
    after = measure(temporary)
    pushes = ROUNDS * KEYS_PER_JOB
    for name in SHOWN_NAMES:
        line = {
            "idle": idle[name]["total"],
            f"after_{pushes // 2}_pushes": halfway[name]["total"],
            f"after_{pushes}_pushes": after[name]["total"],
            "largest_rss": after[name]["largest"],
        }
        print_line(name="memory_mb", process=name, **{key: round(value, 1) for key, value in line.items()})


def main() -> int:
    """Measure everything; returns the exit code."""
    plain = dict(os.environ)
    try:
        with TemporaryInstance("bench") as temporary:
            # This process asks as a management command does: no PIN, no device.
            os.environ.update(product_environment(temporary.instance, "manage"))
            django.setup()
            from kmes.devtools.push_driver import PushDriver  # noqa: PLC0415 - models exist once Django is set up

            driver = PushDriver.of(temporary)
            visit = PageLoad(temporary)
            # Each process of the worker and of the web server loads some more as it works for the first time.
            driver.push_side_by_side(WARMING_JOBS, keys_each=KEYS_PER_JOB)
            for _visit in range(WARMING_VISITS):
                visit()
            watch_memory(temporary, driver, visit)
            for latency in LATENCIES_MS:
                time_pushes(temporary, driver, latency)
        # After the installation has ended, which would take time from the pages. It prints its own lines.
        subprocess.run([sys.executable, "-m", FULL_PAGES], cwd=ROOT, check=False, env=plain)
    except (UnexpectedResult, PageError, VaultError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
