"""The accidents of the matrix: what happens to Azure's answers, to the worker, to the world around it."""

from __future__ import annotations

import contextlib
import itertools
import signal
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.db import OperationalError, connection

from cloudcreds.azure.clients import forget_clients
from jobs.models import Job
from kmes.core.clock import now
from tests.faults.operations import OPERATIONS
from tests.faults.surroundings import HOOKS
from tests.faults.world import ROUNDS, SEND_SECONDS, SIGKILL

# What the wire may do to one call, as the stand-in's fault control takes it.
WIRE = {
    "reset before": {"reset": "before"},
    "reset after": {"reset": "after"},
    "500 before": {"status": 500},
    "500 after": {"status": 500, "when": "after"},
    "503": {"status": 503},
    "429 Retry-After": {"status": 429, "retry_after": 1},
    "429 bare": {"status": 429},
    "429 burst": {"status": 429, "retry_after": 0, "count": 4},
    "token expired": {"status": 401},
    "empty page": {"empty_page": True},
}
TIMEOUTS = {
    "timeout, lands": {"delay_after_ms": 1500},
    # The request is still under way when the client has given up.
    "timeout, lands late": {"delay_ms": 1500},
}
# The same with this machine's clock set while the call is in doubt: hours.
SET_IN_DOUBT = {"lands late, clock ahead": 1, "lands late, clock back": -1}
# By how many hours the vault's clock differs from ours.
VAULT_CLOCKS = {"vault ahead": 1, "vault behind": -1}
READ_SECONDS = 0.6
LANDING_SECONDS = 2.0


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    operation: str
    accident: str
    step: str

    def __str__(self) -> str:
        return f"{self.operation} / {self.accident} / {self.step}"


def has_stopped(process, *, seconds=60):
    """Wait until a process stands still; False when it ended instead."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "T":
            return True
        time.sleep(0.05)
    return False


class Disturbance:
    """Runs the job of a case under its accident, up to where the accident is over."""

    def __init__(self, world, case, monkeypatch, settings):
        self.world, self.case, self.patch, self.settings = world, case, monkeypatch, settings

    def arrange(self):
        """Set up what is so from before the job was asked for."""
        if self.case.accident in VAULT_CLOCKS and self.case.step == "all along":
            self.world.set_clock_of_vault(VAULT_CLOCKS[self.case.accident])

    def strike(self, job):
        """Let it happen."""
        accident, step = self.case.accident, self.case.step
        if accident in WIRE or accident in TIMEOUTS:
            self._on_the_wire(job, {**WIRE, **TIMEOUTS}[accident], step)
        elif accident in SET_IN_DOUBT:
            self._on_the_wire(job, TIMEOUTS["timeout, lands late"], step)
            self.world.set_clock(SET_IN_DOUBT[accident])
        elif accident in VAULT_CLOCKS:
            self.world.set_clock_of_vault(VAULT_CLOCKS[accident])
            self.world.work(job)
        elif accident == "kill -9":
            self.world.work_elsewhere(job, f"{step}=kill@1")
        elif accident == "kill -9 twice":
            assert self.world.work_elsewhere(job, f"{step}=kill@1") == SIGKILL
            self._let_lease_run_out(job)
            self.world.work_elsewhere(job, f"{step}=kill@1")
        elif accident == "stands still":
            self._stands_still(job, step)
        elif accident == "database fails":
            self._database_fails(job, int(step.split()[-1]))
        elif accident == "log full":
            self._log_full(job, int(step.split()[-1]))
        else:
            self._in_between(job, step, HOOKS[accident])

    def _on_the_wire(self, job, fault, step):
        calls = {label: (method, path) for label, method, path in OPERATIONS[self.case.operation].calls}
        method, path = calls[step]
        is_slow = self.case.accident in {**TIMEOUTS, **SET_IN_DOUBT}
        if is_slow:
            from cloudcreds.azure import transport

            self.patch.setattr(transport, "READ_SECONDS", READ_SECONDS)

        forget_clients()
        self.world.fault(method=method, path=path, **fault)
        self.world.work(job)
        if is_slow:
            for _round in range(ROUNDS):
                if self.world.has_been_struck():
                    break
                # On a machine under load, a call before the one meant took longer than the short wait.
                self.world.go_on(job)
            assert self.world.has_been_struck(), "the accident could not be arranged"
            self.world.landing_until = time.monotonic() + LANDING_SECONDS
        self.patch.undo()
        forget_clients()

    def _stands_still(self, job, step):
        """A worker stops in the middle, another finishes its job, and then the first one goes on."""
        worker = self.world.start_worker(job, f"{step}=stop@1")
        try:
            if not has_stopped(worker):
                return
            # A lease outlasts what was sent under it; here it ends by decree.
            time.sleep(SEND_SECONDS)
            self._let_lease_run_out(job)
            self.world.rest(job)
            before = self.world.picture()
            worker.send_signal(signal.SIGCONT)
            assert worker.wait(60) == 0
            assert self.world.picture() == before, "who stood still changed something after the job was over"
        finally:
            worker.kill()
            worker.wait()

    def _let_lease_run_out(self, job):
        Job.objects.filter(pk=job.pk, state="running").update(lease_until=now() - timedelta(seconds=1))

    def _failing_statements(self, job, number, wanted):
        left = [number]

        def execute(call, sql, params, many, context):
            if wanted(sql):
                left[0] -= 1
                if left[0] == 0:
                    raise OperationalError("database or disk is full")
            return call(sql, params, many, context)

        with connection.execute_wrapper(execute):
            self.world.work(job)

    def _database_fails(self, job, number):
        self._failing_statements(job, number, lambda sql: sql.startswith(("INSERT", "UPDATE")))

    def _log_full(self, job, number):
        self._failing_statements(job, number, lambda sql: sql.startswith('INSERT INTO "logging_reports_logentry"'))

    def _in_between(self, job, step, hook):
        """Run ``hook`` when the moment comes, once."""
        with contextlib.ExitStack() as after:
            begun = []

            def at(moment):
                if moment == step and not begun:
                    begun.append(moment)
                    hook(self.world, job, after)
                    # Else an accident that could not be arranged looks like one that did no harm.
                    begun.append("arranged")

            self.settings.KMES_FAILPOINTS = at
            self.world.work(job)
            self.settings.KMES_FAILPOINTS = ""
            assert begun != [step], "the accident could not be arranged"


# Operations at whose every moment what happens around the worker is tried.
SURROUNDED = {
    ("secret revoked", "permissions taken", "device gone"): ("push one", "rotate due"),
    ("device bounces", "device replaced", "PIN wrong"): ("push one",),
    ("database locked", "disk full", "connections cut"): ("push one", "delete"),
    ("clock ahead", "clock back"): ("push one", "rotate due", "disable", "delete", "recover", "purge"),
    ("stands still",): ("push one", "rotate due", "disable", "delete", "purge"),
    ("kill -9 twice",): ("push one", "push three", "rotate due", "disable", "delete", "recover", "purge"),
}


def all_cases():
    """Every cell of the matrix."""
    cases = []
    for name, operation in OPERATIONS.items():
        for accident in ("kill -9", "delivered twice", "taken over"):
            cases += [Case(name, accident, moment) for moment in operation.moments]
        cases += _on_the_wire(name, operation)
        statements = range(1, 60 if len(operation.calls) > 3 else 24, 4)
        cases += [Case(name, "database fails", f"statement {number}") for number in statements]
        cases += [Case(name, "log full", f"statement {number}") for number in (1, 2, 3)]
    for accidents, names in SURROUNDED.items():
        for accident, name in itertools.product(accidents, names):
            cases += [Case(name, accident, moment) for moment in OPERATIONS[name].moments]
    for name in ("push one", "push three", "rotate due"):
        cases += [Case(name, "name soft-deleted", moment) for moment in ("push.after_preflight", "push.before_import")]
        cases += [
            Case(name, "somebody else pushes", moment) for moment in ("push.after_preflight", "push.after_import")
        ]
    changing = [name for name in OPERATIONS if name != "destroy"]
    for accident, name, step in itertools.product(VAULT_CLOCKS, changing, ("all along", "from now on")):
        cases.append(Case(name, accident, step))
    return [*cases, Case("delete", "somebody else pushes", "cloud_delete.before_preflight")]


def _on_the_wire(name, operation):
    if name == "rotate forced":
        # The calls of a rotation that fell due, one by one.
        return
    for label, method, _path in operation.calls:
        yield from (Case(name, accident, label) for accident in WIRE if accident != "empty page")
        if method != "GET":
            yield from (Case(name, accident, label) for accident in (*TIMEOUTS, *SET_IN_DOUBT))
        if label == "list_versions":
            yield Case(name, "empty page", label)


SHORT_STEPS = ("azure.sending_put", "push.after_import", "kek.after_create", "import_key", "statement 9", "from now on")


def short_cases():
    """The cells that `make test` runs: each accident once at least, the riskiest steps."""
    around = {accident for accidents in SURROUNDED for accident in accidents}
    chosen, seen = [], set()
    for case in all_cases():
        risky = case.operation == "push one" and case.step in SHORT_STEPS
        if case.accident in around:
            risky = risky and case.step == "azure.sending_put"
        elif case.accident not in seen or (case.operation, "seen") not in seen:
            risky = True
        if risky:
            chosen.append(case)
            seen |= {case.accident, (case.operation, "seen")}
    return chosen
