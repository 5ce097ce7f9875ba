"""What passes through the relay: a call, its answer, and the record an outside observer keeps of both."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit


class Part(StrEnum):
    """Which part of the cloud a call is for."""

    VAULT = "vault"
    TOKEN = "token"
    DISCOVERY = "discovery"
    MANAGER = "manager"


# Ids that differ from run to run; the label of a call has none.
RANDOM_IDS = re.compile(r"[0-9a-f]{32}|(?<=kmes-kek-)[0-9a-z-]+", re.IGNORECASE)
MANAGER_ROOTS = ("/subscriptions", "/tenants", "/providers", "/metadata/endpoints")


@dataclass(frozen=True)
class Call:
    """One request, read completely. ``host`` and ``port`` say where it is really for."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    host: str
    port: int

    @property
    def path(self) -> str:
        """The path without query and trailing slash."""
        return urlsplit(self.target).path.rstrip("/") or "/"

    @property
    def part(self) -> Part:
        """Which part of the cloud it is for, told by the path."""
        if self.path.endswith("/token"):
            return Part.TOKEN
        if "/.well-known/" in self.path or "/discovery/" in self.path:
            return Part.DISCOVERY
        return Part.MANAGER if self.path.startswith(MANAGER_ROOTS) else Part.VAULT

    @property
    def is_probe(self) -> bool:
        """Whether it only asks a vault for its challenge: without a token it can have no effect."""
        return self.part == Part.VAULT and not self.header("Authorization")

    @property
    def label(self) -> str:
        """Method and path without random ids: the same call has the same label in every run."""
        return f"{self.method} {RANDOM_IDS.sub('*', self.path)}"

    def header(self, name: str) -> str:
        """Return a header's value, "" when there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


@dataclass(frozen=True)
class Answer:
    """A complete answer. Its headers have no framing (Content-Length, Transfer-Encoding, Connection)."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def with_headers(self, changes: dict[str, str | None]) -> Answer:
        """Return the answer with headers set, or taken away where the value is None."""
        names = {name.lower() for name in changes}
        kept = [(name, value) for name, value in self.headers if name.lower() not in names]
        added = [(name, value) for name, value in changes.items() if value is not None]
        return Answer(self.status, self.reason, (*kept, *added), self.body)


@dataclass
class Seen:
    """What the observer noted of one call, in the order in which calls came."""

    call: Call
    at: float
    # What the service answered; None when it was not asked, or reset the connection.
    answer: Answer | None = None
    was_forwarded: bool = False
    # What was done to the answer, in words; "" for nothing.
    damage: str = ""
    sent_status: int | None = None
    sent_bytes: int = 0
    ended_at: float | None = None
    failures: list[str] = field(default_factory=list)

    @property
    def had_effect(self) -> bool:
        """Whether the service carried the call out."""
        return self.answer is not None and self.answer.status < 300
