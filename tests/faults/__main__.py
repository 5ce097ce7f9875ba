"""``make faults``: every cell of the fault matrix, as a table. Exit 0 only if all hold.

The last line is ``N passed, M failed``.
"""

from __future__ import annotations

import os
import sys

import pytest

FOLDERS = ("tests/faults", "tests/damaged_answers")


class Table:
    """Collects how each test went."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the worst outcome of a test's phases."""
        name = report.nodeid.partition("[")[2].rstrip("]") or report.nodeid.partition("::")[2]
        if report.failed:
            self.outcomes[name] = "broke"
            # At once, because the run takes long and may be stopped.
            print(f"\nbroke: {report.nodeid}\n{report.longreprtext}", flush=True)
        elif report.when == "call" and report.passed:
            self.outcomes.setdefault(name, "held")

    def show(self) -> int:
        """Print the table and the last line; returns the exit code."""
        rows = [(*[part.strip() for part in f"{name} / / ".split("/")[:3]], how) for name, how in self.outcomes.items()]
        widths = [
            max(len(row[column]) for row in [("operation", "accident", "step", ""), *rows]) for column in range(3)
        ]
        for row in [("operation", "accident", "step", "outcome"), *rows]:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip())
        accidents = [accident for _operation, accident, _step, _how in rows]
        kills, stops = (
            accidents.count("kill -9") + 2 * accidents.count("kill -9 twice"),
            accidents.count("stands still"),
        )
        print(f"{kills} workers killed by SIGKILL, {stops} stopped and woken after their job was over")
        failed = sum(how == "broke" for how in self.outcomes.values())
        print(f"{len(self.outcomes) - failed} passed, {failed} failed")
        return 1 if failed or not self.outcomes else 0


def main() -> int:
    """Run the matrix on more processes than there are cores: much of it is waiting."""
    os.environ["FAULTS"] = "all"
    table = Table()
    options = ["-q", "-n", "4", "--dist", "worksteal", "--no-header", "-p", "no:cacheprovider", *FOLDERS, *sys.argv[1:]]
    pytest.main(options, plugins=[table])
    return table.show()


if __name__ == "__main__":
    sys.exit(main())
