"""Recovery levels: how a vault deletes its keys. The words are Azure's (docs/azure.md#resource-manager)."""

from __future__ import annotations

DEFAULT_RETENTION_DAYS = 90
# More than any vault keeps deleted keys; what lies beyond is no number of days.
MAX_RETENTION_DAYS = 3650


def level_of(*, soft_delete: bool, purge_protected: bool, retention_days: int | None) -> str:
    """Return the recovery level that keys of a vault bear."""
    if not soft_delete:
        return "Purgeable"
    is_default = (retention_days or DEFAULT_RETENTION_DAYS) >= DEFAULT_RETENTION_DAYS
    level = "Recoverable" if is_default else "CustomizedRecoverable"
    return level if purge_protected else f"{level}+Purgeable"


def days_of(told: object) -> int | None:
    """Return a retention period that a cloud told, in days; None where it told none that can be."""
    is_number = isinstance(told, int) and not isinstance(told, bool)
    return told if is_number and 0 <= told <= MAX_RETENTION_DAYS else None  # type: ignore[operator,return-value]


def has_soft_delete(level: str) -> bool:
    """Return whether deleted keys of the vault can be recovered."""
    return level.startswith(("Recoverable", "CustomizedRecoverable"))


def is_purge_protected(level: str) -> bool:
    """Return whether nobody may purge before the retention period ends."""
    return has_soft_delete(level) and "Purgeable" not in level
