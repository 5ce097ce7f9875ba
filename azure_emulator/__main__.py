"""The command line entry: reads options, starts the listeners, reports failures in one sentence.

Must not hold any behaviour of the service itself.
"""

from __future__ import annotations

import sys

from azure_emulator.options import parse_options
from azure_emulator.profiles import UsageError
from azure_emulator.server import StartupError, serve


def main(arguments: list[str] | None = None) -> int:
    """Run until asked to stop; 2 means it could not start."""
    try:
        serve(parse_options(sys.argv[1:] if arguments is None else arguments))
    except (StartupError, UsageError) as error:
        print(f"azure_emulator: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
