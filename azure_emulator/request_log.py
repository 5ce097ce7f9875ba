"""The list of requests the stand-in received, for tests.

Owns the record of method, path, vault, status and time. Must never hold a body, a
header or a token.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

KEPT = 20_000


@dataclass(frozen=True)
class LoggedRequest:
    """One request and what came of it; status is None after a reset."""

    number: int
    time: float
    part: str
    vault: str | None
    method: str
    path: str
    query: str
    status: int | None
    duration_ms: float
    client: str | None
    request_id: str | None
    fault: str | None
    reset: str | None


class RequestLog:
    """The newest requests, up to a limit."""

    def __init__(self) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=KEPT)
        self._count = 0
        self.times_cleared = 0

    def add(self, *, arrived_after: int, **values: Any) -> None:
        """Record one request, unless the list was cleared while it was answered: ``arrived_after`` clearings."""
        if arrived_after != self.times_cleared:
            return
        self._count += 1
        self._entries.append(LoggedRequest(number=self._count, **values))

    def clear(self) -> None:
        """Forget all requests, also those that are still being answered."""
        self.times_cleared += 1
        self._entries.clear()

    def listing(self) -> list[dict[str, Any]]:
        """All requests, oldest first, ready for JSON."""
        return [dict(vars(entry)) for entry in self._entries]
