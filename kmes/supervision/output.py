"""What is shown and kept of the processes' words: one line each, prefixed on stdout, plain in a file.

Must never block: a reader of our stdout that stops reading must not stop the console.
"""

from __future__ import annotations

import select
import sys
from pathlib import Path
from typing import IO

# A pipe that select calls writable takes this much at once (PIPE_BUF, POSIX).
_SAFE_BYTES = 4096
LOG_LIMIT_BYTES = 10 * 1024 * 1024


def show(text: str) -> None:
    """Print one line, or drop it when nobody reads: the log files have it."""
    line = (text + "\n").encode(errors="replace")
    try:
        _readable, writable, _failed = select.select([], [sys.stdout], [], 0)
        if writable:
            sys.stdout.buffer.write(line[:_SAFE_BYTES])
            sys.stdout.flush()
    except (OSError, ValueError):
        # The terminal is gone; the processes and their log files are not.
        return


class LineLog:
    """The words of one process: kept in a file of limited size, shown with its name before them."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.last_line = ""
        self._rest = b""
        self._file: IO[bytes] = path.open("ab", buffering=0)

    def feed(self, data: bytes) -> None:
        """Take what was read from the process; unfinished lines wait for their end."""
        if self._file.tell() > LOG_LIMIT_BYTES:
            self._turn_over()
        self._file.write(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        # A line without end must not fill the memory.
        if len(self._rest) > LOG_LIMIT_BYTES // 100:
            self._take(self._rest)
            self._rest = b""

    def close(self) -> None:
        """Show the unfinished last line, if any, and close the file."""
        if self._rest:
            self._take(self._rest)
            self._rest = b""
        self._file.close()

    def _take(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self.last_line = text
            show(f"{self.name:<8} | {text}")

    def _turn_over(self) -> None:
        self._file.close()
        self.path.replace(self.path.with_suffix(".log.1"))
        self._file = self.path.open("ab", buffering=0)
