"""The bench of pages at full size: a PostgreSQL and a Redis that end with it, and ``kmes.devtools.page_bench`` on them.

It stands with the tests because they start these services. Takes some minutes, most of them for three million rows
of the log and their indexes, and six gigabytes of the disk until it ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.services import ROOT, ServiceError, free_port, running_postgres, running_redis


def main() -> int:
    """Run the bench with the arguments of ``page_bench``; returns its exit code, 0 where there is no PostgreSQL."""
    signal.signal(signal.SIGTERM, _stop)
    with tempfile.TemporaryDirectory(prefix="kmes-pages-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        try:
            with (
                running_postgres(folder / "postgres") as database,
                running_redis(folder / "redis", free_port()) as redis,
            ):
                return _measure(folder, database, redis)
        except ServiceError as error:
            print(json.dumps({"name": "pages", "skipped": str(error)}), flush=True)
            return 0


def _measure(folder: Path, database: str, redis: str) -> int:
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "KMES_REDIS_URL": redis,
        "KMES_STATE_DIR": str(folder / "state"),
        "KMES_INSECURE_HTTP": "1",
        "DJANGO_SETTINGS_MODULE": "kmes.settings",
    }
    (folder / "state").mkdir()
    migrate = [sys.executable, "manage.py", "migrate", "-v", "0"]
    subprocess.run(migrate, cwd=ROOT, check=True, env=environment)
    bench = [sys.executable, "-W", "ignore", "-m", "kmes.devtools.page_bench", *sys.argv[1:]]
    return subprocess.run(bench, cwd=ROOT, check=False, env=environment).returncode


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    # So that the services end and the folder goes.
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
