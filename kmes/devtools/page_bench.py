"""Measures each page (server time, number of queries) and the export of a log; prints one JSON line for each.

Part of ``make bench`` at full size, on a PostgreSQL of its own (``tests.devtools.full_pages``). By itself on any database that
DATABASE_URL names: it writes the trial data that is missing first.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys

import django


def main() -> int:
    """Fill up and measure; exit 1 when a page took more than it may."""
    parser = argparse.ArgumentParser(prog="python -m kmes.devtools.page_bench", description=__doc__)
    for name, size in (("groups", 10_000), ("keys", 10_000), ("logs", 3_000_000)):
        parser.add_argument(f"--{name}", type=int, default=size, metavar="N")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kmes.settings")
    # The client speaks plain http, to this process.
    os.environ.setdefault("KMES_INSECURE_HTTP", "1")
    django.setup()
    from kmes.devtools import export_cost, page_costs  # noqa: PLC0415 - models exist once Django is set up

    page_costs.fill_up(groups=options.groups, keys=options.keys, logs=options.logs)
    # What filling leaves in this process is in no web process, and would be searched for garbage with each page.
    gc.collect()
    gc.freeze()
    is_well = page_costs.print_pages()
    export_cost.print_export()
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
