"""Asking Azure which vaults a credential can see, for pages that can't name jobs. Those register who does it.

Owns no row: the vaults that are found become rows of ``KeyVault`` when the job that looks writes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cloudcreds.models import CloudCredential
from kmes.core.actor import Actor


class Look(StrEnum):
    """How far a listing is; "late" when nothing has answered for longer than one waits."""

    LOOKING = "looking"
    LATE = "late"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Listing:
    """A listing that was asked for: its number, the page that shows it, and what came of it."""

    code: str
    label: str
    url: str
    state: Look
    found: int = 0
    error: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Lister:
    """Who asks Azure: ``start`` asks or follows what is being asked already, ``find`` tells how far it is."""

    start: Callable[[CloudCredential, Actor], Listing]
    find: Callable[[str], Listing | None]


_listers: list[Lister] = []


def register(lister: Lister) -> None:
    """Say who asks Azure; the latest one counts."""
    _listers[:] = [lister]


def start(credential: CloudCredential, *, actor: Actor) -> Listing:
    """Ask for the vaults the credential can see.

    Raises:
        PermissionRefused: the actor may not list vaults.

    """
    return _listers[0].start(credential, actor)


def find(code: str) -> Listing | None:
    """Return how far a listing is; None when there is none of this number."""
    return _listers[0].find(code)
