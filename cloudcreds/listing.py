"""Listing the vaults that a credential can see, for pages below jobs. Jobs register who starts a listing.

Owns no row: the job that lists the vaults records them (``cloudcreds.vaults``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cloudcreds.models import CloudCredential
from kmes.core.actor import Actor


class Look(StrEnum):
    """The state of a listing; "late" when it takes longer than a user expects."""

    LOOKING = "looking"
    LATE = "late"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Listing:
    """A requested listing: its number, the page that shows it, its state and result."""

    code: str
    label: str
    url: str
    state: Look
    found: int = 0
    error: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Lister:
    """Starts listings, or joins one under way (``start``), and returns their state (``find``)."""

    start: Callable[[CloudCredential, Actor], Listing]
    find: Callable[[str], Listing | None]


_listers: list[Lister] = []


def register(lister: Lister) -> None:
    """Register the lister; the latest one counts."""
    _listers[:] = [lister]


def start(credential: CloudCredential, *, actor: Actor) -> Listing:
    """Start a listing of the vaults that the credential can see.

    Raises:
        PermissionRefused: the actor may not list vaults.

    """
    return _listers[0].start(credential, actor)


def find(code: str) -> Listing | None:
    """Return a listing by its number; None when there is none."""
    return _listers[0].find(code)
