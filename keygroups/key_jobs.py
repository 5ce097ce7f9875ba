"""The jobs of keys, as pages of this app show them. Jobs are an app above this one, so it registers a provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class JobSummary:
    """A job as a key's row or history shows it."""

    name: str
    title: str
    url: str
    state: str
    colour: str
    actor: str
    why: str
    at: datetime


@dataclass(frozen=True)
class KeyJobs:
    """A key's last job, and the one that pushed it."""

    last: JobSummary | None = None
    push: JobSummary | None = None


KeyJobsProvider = Callable[[Iterable[UUID]], dict[UUID, KeyJobs]]
_providers: list[KeyJobsProvider] = []


def register(provider: KeyJobsProvider) -> None:
    """Register what finds the jobs of keys. The last one registered is used."""
    _providers[:] = [provider]


def jobs_of_keys(key_ids: Iterable[UUID]) -> dict[UUID, KeyJobs]:
    """Return the jobs of the keys that had any. At most two queries."""
    wanted = list(key_ids)
    return _providers[0](wanted) if _providers and wanted else {}
