"""What `make test` does: every check and test of the project.

The checks run in two rows at the same time, each one check after the other: many tests wait, for pages, leases and
processes that start, and the others use the processors meanwhile. A failing check does not hide the next; the last lines
say which failed. Must run the same on a developer's machine and in CI.

Tests with real processes, browsers and clocks can fail on a machine that is overloaded at that moment. A few tests
that failed are therefore tried once more, one after the other with the machine to themselves. One that passes then
doesn't fail the run, but is named at the end: it is to be made steady.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
TYPED = ("hsm", "cloudcreds", "keygroups", "jobs", "logging_reports", "kmes", "azure_emulator")
# Where two databases could differ: conditional updates, constraints, triggers, transactions.
DATA_TESTS = (
    *("tests/keygroups", "tests/jobs", "tests/logging_reports", "tests/cloudcreds"),
    *("tests/accounts", "tests/attacks", "tests/dashboard", "tests/operations"),
    *("tests/devtools/test_seed.py", "tests/faults/test_database_restart.py"),
)
# What says and shows, or speaks to Azure, Redis and the device: the same on either database.
SAME_ANYWHERE = (
    *("*page*.py", "*/cloudcreds/azure/*", "*_fields.py", "*_group_dialog.py", "*_setup.py", "*_sign_in.py"),
    *("*_certification*.py", "*_connection.py", "*_vault_chooser.py", "*_outages.py", "*_hints.py"),
    *("*_webhook_addresses.py", "*_offline.py", "*_backup_file.py", "*_disaster.py", "*_pictures.py"),
    *("*attacks/test_company_sign_on.py", "*_sign_on_settings.py", "*_password_words.py", "*_certificates.py"),
    *("*/cloudcreds/provider/*", "*_key_rules.py", "*_forwarding_formats.py", "*_collector.py", "*_time_stamps.py"),
    # These have a PostgreSQL of their own.
    *("*_database_roles.py", "*_process_users.py"),
)
# Where a lock, a full disk and a cut connection are another matter on PostgreSQL.
DATA_CELLS = tuple(
    f"tests/faults/test_matrix.py::test_holds[push one / {accident} / azure.sending_put]"
    for accident in ("database locked", "disk full", "connections cut")
)
BROWSER_TESTS = "tests/browser"
# Real connections that are damaged and slow: `make faults` runs these tests.
DAMAGED_ANSWERS = "tests/damaged_answers"
# The same with connections in memory and simulated time.
MEMORY_WORLDS = f"{DAMAGED_ANSWERS}/test_memory_worlds.py"
# Two rows of them: more processes than CI has cores, because many tests wait. Each takes ten seconds of a processor to
# start, and in the browser's tests has a console of its own.
SIDE_BY_SIDE = ("-n", "3", "--dist", "loadscope")
MEMORY_NEEDED = 4 * 2**30
# More failures than these are no accident of the machine.
TRIED_AGAIN_AT_MOST = 8
# How pytest ends where every test ran and some failed. Else tests were left out, which trying those that failed hides.
TESTS_FAILED = 1


@dataclass(frozen=True)
class Check:
    """One command, and what it needs in its environment beyond ours.

    Attributes:
        failed_tests: where a run of tests leaves the names of those that failed; None for other commands.

    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    failed_tests: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """How a check ended.

    Attributes:
        code: the exit code of its command.
        seconds: how long it took.
        said: what it printed, if that was held back.

    """

    check: Check
    code: int
    seconds: float
    said: str = ""


def _tool(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(Path(sys.executable).parent / name), *arguments)


def _manage(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-W", "error::DeprecationWarning:kmes", "manage.py", *arguments)


def lint_checks(state: Path) -> list[Check]:
    """Return the checks that run no code of a test."""
    templates = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("templates/**/*.html"))
    settings = {"KMES_STATE_DIR": str(state), "KMES_INSECURE_HTTP": "0", "KMES_PROCESS": "manage"}
    production = {**settings, "KMES_PROCESS": "web", "KMES_ALLOWED_HOSTS": "console.example"}
    return [
        Check("ruff check", _tool("ruff", "check", "--quiet", ".")),
        Check("ruff format", _tool("ruff", "format", "--check", "--quiet", ".")),
        Check("layers", _tool("lint-imports", "--no-cache")),
        Check("templates", _tool("djade", "--check", "--target-version", "5.2", *templates)),
        Check("migrations", _manage("makemigrations", "--check", "--dry-run"), settings),
        Check("deployment", _manage("check", "--deploy", "--tag", "security", "--fail-level", "WARNING"), production),
    ]


def type_checks(state: Path) -> list[Check]:
    """Return the type check; its Django plugin reads the settings."""
    return [Check("types", _tool("mypy", *TYPED), {"KMES_STATE_DIR": str(state)})]


def _in_memory() -> dict[str, str]:
    """Let tests keep their databases in memory where there is room: each commit waits for the disk otherwise."""
    memory = Path("/dev/shm")  # noqa: S108 - what is made below it has names that can't be guessed
    has_room = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY_NEEDED
    return {"TMPDIR": str(memory)} if has_room else {}


def _tests(name: str, arguments: list[str], environment: Mapping[str, str], state: Path) -> Check:
    cache = state / name
    command = _tool("pytest", "-q", "-o", f"cache_dir={cache}", *arguments)
    return Check(name, command, environment, cache / "v" / "cache" / "lastfailed")


def test_checks(state: Path) -> tuple[list[Check], list[Check]]:
    """Return the test runs in two rows that take about as long: everything on SQLite; pages in a browser, and data
    behaviour on PostgreSQL.
    """
    where = _in_memory()
    data = [*(path for path in DATA_TESTS if (ROOT / path).exists()), *DATA_CELLS]
    data += [f"--ignore-glob={pattern}" for pattern in SAME_ANYWHERE]
    damaged = {str(path.relative_to(ROOT)) for path in ROOT.glob(f"{DAMAGED_ANSWERS}/test_*.py")}
    elsewhere = [f"--ignore={path}" for path in (BROWSER_TESTS, *sorted(damaged - {MEMORY_WORLDS}))]
    return [_tests("tests (SQLite)", [*SIDE_BY_SIDE, *elsewhere, "tests"], where, state)], [
        _tests("tests (browser)", [*SIDE_BY_SIDE, BROWSER_TESTS], where, state),
        _tests("tests (PostgreSQL)", [*SIDE_BY_SIDE, *data], {"KMES_TEST_DATABASE": "postgres", **where}, state),
    ]


def _environment(check: Check) -> dict[str, str]:
    # Importing this package names the settings to Django; the tests name theirs themselves.
    # Hundreds of processes start during the tests, each of which would compile the project again without its cache.
    left_out = {"DJANGO_SETTINGS_MODULE", "PYTHONDONTWRITEBYTECODE"}
    return {**{name: value for name, value in os.environ.items() if name not in left_out}, **check.environment}


def _failed_tests(check: Check) -> list[str]:
    if check.failed_tests is None or not check.failed_tests.exists():
        return []
    return sorted(json.loads(check.failed_tests.read_text()))


def _attempt(check: Check, *more: str, said: IO[bytes] | None = None) -> Outcome:
    """Run a check; what it says is shown as it comes, or written to the file ``said``."""
    started = time.monotonic()
    done = subprocess.run(
        [*check.command, *more],
        cwd=ROOT,
        env=_environment(check),
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        check=False,
    )
    return Outcome(check, done.returncode, time.monotonic() - started)


def _attempt_quietly(check: Check) -> Outcome:
    # Not a pipe, which would stay open as long as any process that the check leaves behind.
    with tempfile.TemporaryFile() as said:
        outcome = _attempt(check, said=said)
        said.seek(0)
        return replace(outcome, said=said.read().decode(errors="replace"))


def _tell(outcome: Outcome) -> None:
    ended = "FAILED" if outcome.code else "ok"
    print(f"{outcome.said}--- {outcome.check.name}: {ended}, {outcome.seconds:.1f} s", flush=True)


def _first_attempts(checks: Sequence[Check], beside: Sequence[Check]) -> Iterator[Outcome]:
    row = ThreadPoolExecutor(max_workers=1)
    others = [row.submit(_attempt_quietly, check) for check in beside]
    try:
        for check in checks:
            print(f"--- {check.name}", flush=True)
            yield _attempt(check)
        for other, check in zip(others, beside, strict=True):
            outcome = other.result()
            print(f"--- {check.name}", flush=True)
            yield outcome
    finally:
        # Ctrl-C ends what is running; what has not begun stays so.
        row.shutdown(cancel_futures=True)


def run(checks: Sequence[Check], beside: Sequence[Check] = ()) -> int:
    """Run the checks in order, at the same time those of ``beside`` in theirs, and say at the end what failed.

    Returns the exit code.
    """
    failed, unsteady, outcomes = [], [], []
    for outcome in _first_attempts(checks, beside):
        _tell(outcome)
        outcomes.append(outcome)
    for outcome in outcomes:
        check, code = outcome.check, outcome.code
        broke = _failed_tests(check) if code == TESTS_FAILED else []
        if 0 < len(broke) <= TRIED_AGAIN_AT_MOST:
            print(f"--- {check.name}: once more what failed", flush=True)
            again = _attempt(check, "-n", "0", "--last-failed", "--last-failed-no-failures", "none")
            _tell(again)
            code = again.code
            unsteady += sorted({*broke} - {*_failed_tests(check)})
        if code:
            failed.append(check.name)
    for name in unsteady:
        print(f"unsteady: {name} failed at first and passed by itself", flush=True)
    count = len(checks) + len(beside)
    print(f"failed: {', '.join(failed)}" if failed else f"all {count} checks passed", flush=True)
    return 1 if failed else 0


def main() -> int:
    """Run the group of checks named on the command line."""
    parser = argparse.ArgumentParser(description="Run the project's checks.")
    parser.add_argument("group", choices=("all", "lint", "types", "tests"))
    group = parser.parse_args().group
    with tempfile.TemporaryDirectory(prefix="kmes-checks-") as folder:
        state = Path(folder)
        if group == "lint":
            return run(lint_checks(state))
        if group == "types":
            return run(type_checks(state))
        tests, beside = test_checks(state)
        if group == "tests":
            return run(tests, beside)
        return run([*lint_checks(state), *tests], [*type_checks(state), *beside])


if __name__ == "__main__":
    sys.exit(main())
