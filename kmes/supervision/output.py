"""Output of the processes: each line is shown on stdout behind the process's name, and kept in a log file.

Must never block: a reader of our stdout that stops reading must not stop the console.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from typing import IO

# A pipe that select calls writable takes this much at once (PIPE_BUF, POSIX).
_SAFE_BYTES = 4096
LOG_LIMIT_BYTES = 10 * 1024 * 1024


def show(text: str) -> None:
    """Print one line, or drop it if nobody reads stdout; the log files have it."""
    line = (_printable(text) + "\n").encode(errors="replace")
    try:
        _readable, writable, _failed = select.select([], [sys.stdout], [], 0)
        if writable:
            sys.stdout.buffer.write(line[:_SAFE_BYTES])
            sys.stdout.flush()
    except (OSError, ValueError):
        # The terminal was closed; processes and log files go on.
        return


def _printable(text: str) -> str:
    """Return the text without characters that move the cursor or turn the line: a process's output is not trusted."""
    return "".join(each if each.isprintable() or each == "\t" else "\ufffd" for each in text)


def _open_log(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)


class LineLog:
    """The output of one process: kept in a file of limited size, shown behind the process's name."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.last_line = ""
        self._rest = b""
        self._file = _open_log(path)

    def feed(self, data: bytes) -> None:
        """Take output of the process; an unfinished line is held until its end arrives."""
        if self._file.tell() > LOG_LIMIT_BYTES:
            self._rotate()
        self._file.write(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._show_line(line)
        # A line without end must not fill the memory.
        if len(self._rest) > LOG_LIMIT_BYTES // 100:
            self._show_line(self._rest)
            self._rest = b""

    def close(self) -> None:
        """Show the unfinished last line, if any, and close the file."""
        if self._rest:
            self._show_line(self._rest)
            self._rest = b""
        self._file.close()

    def _show_line(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self.last_line = text
            show(f"{self.name:<8} | {text}")

    def _rotate(self) -> None:
        self._file.close()
        self.path.replace(self.path.with_suffix(".log.1"))
        self._file = _open_log(self.path)
