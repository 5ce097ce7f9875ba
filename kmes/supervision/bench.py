"""Measures pushes against a bare script, memory, and pages; prints one JSON line for each.

The one part of the supervision that asks the services instead of the pages: what is measured is a
job, from the request to its end, and not how fast a page says so. Runs on a temporary installation
with its real worker, SoftHSM, Redis and stand-in.
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
from dataclasses import dataclass, field
from typing import Any

import django

from kmes.supervision import memory, page_bench
from kmes.supervision.instance import ROOT, SHOWN_NAMES
from kmes.supervision.processes import product_environment
from kmes.supervision.trial import CLIENT, CLIENT_SECRET, TENANT, Trial, TrialError
from kmes.supervision.vault import VaultClient, VaultError
from kmes.supervision.visitor import PageError, Visitor

KEYS_PER_JOB = 20
# Of pushes while the memory is watched; the timed ones come after them, on a warm worker.
ROUNDS = 10
WARMING_VISITS = 10
WARMING_JOBS = 4
LATENCIES_MS = (0, 50)
TIMED_RUNS = 5
SDK_SCRIPT = "tests.supervision.bare_sdk"
PLAIN_SCRIPT = "kmes.supervision.bare_push"
JOB_SECONDS = 120.0
POLL_SECONDS = 0.005
# Enough for every page to have a full list; page_bench by itself measures the full size.
PAGE_DATA = {"groups": 50, "keys": 1_000, "logs": 10_000}


@dataclass
class Product:
    """The console's services in this process; the worker of the installation does the work."""

    credential: Any
    actor: Any
    vault_url: str
    _count: int = field(default=0)

    @classmethod
    def of(cls, trial: Trial) -> Product:
        """Sign nobody in, but act as admin1 with a credential of the stand-in's client."""
        from cloudcreds.services import create_credential  # noqa: PLC0415 - Django must stand first
        from cloudcreds.values import CredentialValues  # noqa: PLC0415
        from kmes.accounts.models import User  # noqa: PLC0415
        from kmes.core.actor import Actor  # noqa: PLC0415
        from kmes.core.secret_types import SecretText  # noqa: PLC0415

        actor = Actor.from_user(User.objects.get(username="admin1"))
        values = CredentialValues(
            name="Bench",
            tenant_id=TENANT,
            client_id=CLIENT,
            secret=SecretText(CLIENT_SECRET),
            cloud="custom",
            authority_url=trial.instance.stand_in_url,
            arm_url=trial.instance.stand_in_url,
        )
        return cls(create_credential(values=values, actor=actor), actor, trial.vault_url())

    def make_keys(self, count: int) -> list[Any]:
        """Make a key group of its own with P-256 keys, which is no part of a push."""
        from jobs.services import request_create_keys  # noqa: PLC0415
        from keygroups.services import create_group  # noqa: PLC0415
        from keygroups.values import GroupValues  # noqa: PLC0415

        self._count += 1
        values = GroupValues(
            name=f"bench-{self._count}",
            credential=self.credential,
            vault=self.vault_url,
            key_spec="P-256",
            rotate=False,
        )
        group = create_group(values=values, actor=self.actor)
        names = [f"bench-{self._count}-{number}" for number in range(count)]
        self._await(request_create_keys(group=group, names=names, actor=self.actor))
        return list(group.keys.all())

    def push(self, keys: list[Any]) -> float:
        """Push keys by one job; returns the seconds from the request to the job's end."""
        from jobs.services import request_synchronize  # noqa: PLC0415

        started = time.perf_counter()
        self._await(request_synchronize(keys=keys, actor=self.actor))
        return time.perf_counter() - started

    def push_side_by_side(self, count: int) -> None:
        """Push by some jobs at once, so that each of the worker's processes gets one."""
        from jobs.services import request_synchronize  # noqa: PLC0415

        keys = [self.make_keys(KEYS_PER_JOB) for _ in range(count)]
        for job in [request_synchronize(keys=each, actor=self.actor) for each in keys]:
            self._await(job)

    def _await(self, job: Any) -> None:
        """Wait for a job's success.

        Raises TrialError when it ends otherwise or not at all.
        """
        from jobs.choices import FINAL_STATES, JobState  # noqa: PLC0415

        deadline = time.monotonic() + JOB_SECONDS
        while job.state not in FINAL_STATES and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            job.refresh_from_db(fields=["state", "error_what"])
        if job.state != JobState.SUCCEEDED:
            message = f"Job {job.code} is {job.state} after {JOB_SECONDS:.0f} s at most: {job.error_what}"
            raise TrialError(message)


def push_bare(trial: Trial, script: str) -> float:
    """Push as many keys by a bare script; returns the seconds it measured.

    Raises TrialError when it fails.
    """
    command = [sys.executable, "-m", script, trial.vault_url(), trial.instance.stand_in_url]
    command += ["--ca-file", str(trial.ca_file), "--count", str(KEYS_PER_JOB)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, env=trial.environment)
    if done.returncode:
        message = f"The bare script failed: {(done.stderr.strip().splitlines() or ['no words'])[-1]}"
        raise TrialError(message)
    return float(done.stdout)


def set_latency(trial: Trial, milliseconds: int) -> None:
    """Let the stand-in delay each answer, as the real service's distance does."""
    control = VaultClient(trial.vault_url(), ca_file=trial.ca_file)
    control.call("POST", "/_emulator/settings", {"latency_ms": milliseconds})
    control.close()


def print_line(**values: object) -> None:
    """Print one result."""
    print(json.dumps(values), flush=True)


def time_pushes(trial: Trial, product: Product, latency: int) -> None:
    """Time product and bare scripts in turns at one latency, and print the medians.

    ``bare_s`` is the Azure SDK's, as in the product; without an SDK the same calls take ``plain_https_s``.
    """
    keys = [product.make_keys(KEYS_PER_JOB) for _ in range(TIMED_RUNS)]
    set_latency(trial, latency)
    ours, bare, plain = [], [], []
    for each in keys:
        bare.append(push_bare(trial, SDK_SCRIPT))
        plain.append(push_bare(trial, PLAIN_SCRIPT))
        ours.append(product.push(each))
    set_latency(trial, 0)
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


class Visits:
    """Somebody who looks at the console's pages meanwhile."""

    def __init__(self, trial: Trial) -> None:
        self._visitor = Visitor(trial.instance.url)
        self._visitor.sign_in("admin1", trial.password)

    def __call__(self) -> None:
        """Look at the pages that are open most.

        Raises PageError when one does not open.
        """
        for path in ("/keys/", "/jobs/", "/jobs/drawer/", "/logs/?service=azure"):
            page = self._visitor.open(path)
            if page.status != http.client.OK:
                message = f"{path} answered {page.status}: {page.words()[:400]}"
                raise PageError(message)


def measure(trial: Trial) -> dict[str, dict[str, float]]:
    """Return each process's memory with its children: shares of shared pages, and the largest one's resident."""
    found = {}
    for name in SHOWN_NAMES:
        family = memory.family_of(trial.pid_of(name))
        found[name] = {
            "total": sum(memory.proportional_mb(pid) for pid in family),
            "largest": max(memory.resident_mb(pid) for pid in family),
        }
    return found


def watch_memory(trial: Trial, product: Product, beside: Callable[[], None]) -> None:
    """Push 200 keys and print what each process takes before, after 100 and after 200.

    ``beside`` is done once each push, so that the web process works as well.
    """
    idle = measure(trial)
    halfway: dict[str, dict[str, float]] = {}
    for number in range(ROUNDS):
        if number == ROUNDS // 2:
            halfway = measure(trial)
        product.push(product.make_keys(KEYS_PER_JOB))
        beside()
    after = measure(trial)
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
    try:
        with Trial("bench") as trial:
            # This process asks as a management command does: no PIN, no device.
            os.environ.update(product_environment(trial.instance, "manage"))
            django.setup()
            product = Product.of(trial)
            visit = Visits(trial)
            # Each process of the worker and of the web server loads some more as it works for the first time.
            product.push_side_by_side(WARMING_JOBS)
            for _visit in range(WARMING_VISITS):
                visit()
            watch_memory(trial, product, visit)
            for latency in LATENCIES_MS:
                time_pushes(trial, product, latency)
            page_bench.fill_up(**PAGE_DATA)
            page_bench.print_pages()
    except (TrialError, PageError, VaultError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
