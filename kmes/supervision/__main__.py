"""The supervisor's command line: reads it, and turns what prevents a start into one sentence."""

from __future__ import annotations

import argparse
import os
import sys

from kmes.supervision.instance import SHOWN_NAMES, Instance, StartError
from kmes.supervision.supervisor import Supervisor

DESCRIPTION = "Run the console's processes on this machine."


def main(arguments: list[str] | None = None) -> int:
    """Run the command named on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m kmes.supervision", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start everything and keep it running until Ctrl-C or SIGTERM")
    run.add_argument("--without", action="append", default=[], metavar="NAME", choices=SHOWN_NAMES)
    given = parser.parse_args(arguments)
    try:
        return Supervisor(Instance.from_environment(os.environ, frozenset(given.without))).run()
    except StartError as error:
        print(f"kmes: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
