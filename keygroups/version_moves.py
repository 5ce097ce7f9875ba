"""Which moves between states a cloud version may make. Changes nothing (``lifecycle`` does)."""

from __future__ import annotations

from keygroups.choices import VersionState

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
