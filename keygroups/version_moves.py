"""Which moves between states a cloud version may make, and what a push brings. Changes nothing (``lifecycle`` does)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from keygroups.choices import VersionState
from keygroups.models import CloudVersion

# Allowed moves of a version. After a purged, missing or failed version its key may be pushed
# again, which makes a new row.
VERSION_MOVES: dict[str, frozenset[str]] = {
    # Superseded at once: an older one of several that were pushed together.
    VersionState.PUSHING: frozenset(
        {VersionState.ACTIVE, VersionState.SUPERSEDED, VersionState.DISABLED, VersionState.FAILED}
    ),
    VersionState.ACTIVE: frozenset(
        {
            VersionState.SUPERSEDED,
            VersionState.DISABLED,
            VersionState.SOFT_DELETED,
            VersionState.PURGED,
            VersionState.MISSING,
        }
    ),
    VersionState.SUPERSEDED: frozenset(
        {
            VersionState.ACTIVE,
            VersionState.DISABLED,
            VersionState.SOFT_DELETED,
            VersionState.PURGED,
            VersionState.MISSING,
        }
    ),
    VersionState.DISABLED: frozenset(
        {
            VersionState.ACTIVE,
            VersionState.SUPERSEDED,
            VersionState.SOFT_DELETED,
            VersionState.PURGED,
            VersionState.MISSING,
        }
    ),
    VersionState.SOFT_DELETED: frozenset(
        {
            VersionState.ACTIVE,
            VersionState.SUPERSEDED,
            VersionState.DISABLED,
            VersionState.PURGED,
            VersionState.MISSING,
        }
    ),
    VersionState.MISSING: frozenset(
        {VersionState.ACTIVE, VersionState.SUPERSEDED, VersionState.DISABLED, VersionState.PURGED}
    ),
    VersionState.PURGED: frozenset(),
    VersionState.FAILED: frozenset(),
}


def sources(target: str) -> list[str]:
    """Return the states from which a version may move to ``target``."""
    return [source for source, targets in VERSION_MOVES.items() if target in targets]


@dataclass(frozen=True)
class Pushed:
    """What the vault says of a version that was pushed."""

    version: CloudVersion
    azure_version: str
    kid: str
    pushed_at: datetime
    enabled: bool
    expires_at: datetime | None = None
    operations: Sequence[str] = ()
    tags: dict[str, str] | None = None
