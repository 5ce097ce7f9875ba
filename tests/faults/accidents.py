"""The accidents of the matrix: what happens to Azure's answers, to the worker, to the world around it."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tests.faults.operations import NAME, OPERATIONS
from tests.faults.world import SIGKILL

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


class Disturbance:
    """Runs the job of a case under its accident, up to where the accident is over."""

    def __init__(self, world, case, monkeypatch, settings):
        self.world, self.case, self.patch, self.settings = world, case, monkeypatch, settings

    def strike(self, job):
        """Let it happen."""
        accident, step = self.case.accident, self.case.step
        if accident in WIRE or accident in TIMEOUTS:
            self._on_the_wire(job, {**WIRE, **TIMEOUTS}[accident], step)
        elif accident == "kill -9":
            self.world.work_elsewhere(job, f"{step}=kill@1")
        elif accident == "kill -9 twice":
            assert self.world.work_elsewhere(job, f"{step}=kill@1") == SIGKILL
            self._let_lease_run_out(job)
            self.world.work_elsewhere(job, f"{step}=kill@1")
        elif accident == "database fails":
            self._database_fails(job, int(step.split()[-1]))
        elif accident == "log full":
            self._log_full(job, int(step.split()[-1]))
        else:
            self._in_between(job, step, HOOKS[accident])

    def _on_the_wire(self, job, fault, step):
        calls = {label: (method, path) for label, method, path in OPERATIONS[self.case.operation].calls}
        method, path = calls[step]
        if self.case.accident in TIMEOUTS:
            from cloudcreds.azure import clients

            self.patch.setattr(clients, "READ_SECONDS", READ_SECONDS)
        from cloudcreds.azure.clients import forget_clients

        forget_clients()
        self.world.fault(method=method, path=path, **fault)
        self.world.work(job)
        if self.case.accident in TIMEOUTS:
            self.world.landing_until = time.monotonic() + LANDING_SECONDS
        self.patch.undo()
        forget_clients()

    def _let_lease_run_out(self, job):
        from datetime import timedelta

        from jobs.models import Job
        from kmes.core.clock import now

        Job.objects.filter(pk=job.pk, state="running").update(lease_until=now() - timedelta(seconds=1))

    def _failing_statements(self, job, number, wanted):
        from django.db import OperationalError, connection

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

            self.settings.KMES_FAILPOINTS = at
            self.world.work(job)
            self.settings.KMES_FAILPOINTS = ""


def _revoke_secret(world, job, after):
    from cloudcreds.azure.clients import forget_clients

    client = "22222222-2222-2222-2222-222222222222"
    world.stand_in.control("POST", "/_emulator/clients", {"client_id": client, "secret": "another-secret"})
    forget_clients()
    restore = {"client_id": client, "secret": "emulator-secret"}
    after.callback(world.stand_in.control, "POST", "/_emulator/clients", restore)


def _take_permissions(world, job, after):
    client = "22222222-2222-2222-2222-222222222222"
    (now,) = [c for c in world.stand_in.control("GET", "/_emulator/clients") if c["client_id"] == client]
    world.stand_in.control("POST", "/_emulator/clients", {"client_id": client, "permissions": ["get", "list"]})
    restore = {"client_id": client, "permissions": now["permissions"]}
    after.callback(world.stand_in.control, "POST", "/_emulator/clients", restore)


def _name_gets_deleted(world, job, after):
    world.soft_delete_of_somebody_else()
    after.callback(lambda: world.vault.client.purge_deleted_key(NAME))


def _somebody_pushes(world, job, after):
    world.push_of_somebody_else()


def _device_goes(world, job, after):
    from django.conf import settings

    tokens = Path(settings.KMES_STATE_DIR) / "hsm" / "tokens"
    away = tokens.with_name("tokens-away")
    shutil.move(tokens, away)
    tokens.mkdir()

    def back():
        shutil.rmtree(tokens)
        shutil.move(away, tokens)

    after.callback(back)


def _second_worker(world, job, after):
    """Another worker gets the same message now."""
    world.work(job, owner="second worker")


def _taken_over(world, job, after):
    """The lease runs out while this worker stands still; another takes the job over and goes on."""
    from datetime import timedelta

    from jobs.models import Job
    from kmes.core.clock import now

    Job.objects.filter(pk=job.pk).update(lease_until=now() - timedelta(seconds=1))
    world.work(job, owner="second worker")


HOOKS = {
    "secret revoked": _revoke_secret,
    "permissions taken": _take_permissions,
    "name soft-deleted": _name_gets_deleted,
    "somebody else pushes": _somebody_pushes,
    "device gone": _device_goes,
    "delivered twice": _second_worker,
    "taken over": _taken_over,
}


def all_cases():
    """Every cell of the matrix."""
    cases = []
    for name, operation in OPERATIONS.items():
        cases += [Case(name, "kill -9", moment) for moment in operation.moments]
        cases += [Case(name, "delivered twice", moment) for moment in operation.moments]
        cases += [Case(name, "taken over", moment) for moment in operation.moments]
        for label, method, _path in operation.calls:
            cases += [Case(name, accident, label) for accident in WIRE if accident != "empty page"]
            if method != "GET":
                cases += [Case(name, accident, label) for accident in TIMEOUTS]
            if label == "list_versions":
                cases.append(Case(name, "empty page", label))
        cases += [Case(name, "database fails", f"statement {number}") for number in range(1, 60, 4)]
        cases += [Case(name, "log full", f"statement {number}") for number in (1, 2, 3)]
    for name in ("push one", "push three", "rotate due"):
        moments = OPERATIONS[name].moments
        for accident in ("secret revoked", "permissions taken", "device gone"):
            cases += [Case(name, accident, moment) for moment in moments]
        cases += [Case(name, "kill -9 twice", moment) for moment in moments if moment.startswith(("push.after", "kek"))]
        cases += [Case(name, "name soft-deleted", moment) for moment in ("push.after_preflight", "push.before_import")]
        cases += [
            Case(name, "somebody else pushes", moment) for moment in ("push.after_preflight", "push.after_import")
        ]
    return cases


SHORT_STEPS = ("push.after_import", "push.before_import", "kek.after_create", "import_key", "create_kek", "statement 9")


def short_cases():
    """The cells that `make test` runs: each accident once at least, the riskiest steps."""
    chosen, seen = [], set()
    for case in all_cases():
        risky = case.operation == "push one" and case.step in SHORT_STEPS
        if risky or case.accident not in seen or (case.operation, "seen") not in seen:
            chosen.append(case)
            seen |= {case.accident, (case.operation, "seen")}
    return chosen
