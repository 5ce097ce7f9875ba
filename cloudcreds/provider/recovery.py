"""Recovery levels: how a vault deletes its keys. The words are Azure's (docs/azure.md#resource-manager)."""

from __future__ import annotations

DEFAULT_RETENTION_DAYS = 90


def level_of(*, soft_delete: bool, purge_protected: bool, retention_days: int | None) -> str:
    """Return the recovery level that keys of a vault bear."""
    if not soft_delete:
        return "Purgeable"
    is_default = (retention_days or DEFAULT_RETENTION_DAYS) >= DEFAULT_RETENTION_DAYS
    level = "Recoverable" if is_default else "CustomizedRecoverable"
    return level if purge_protected else f"{level}+Purgeable"


def has_soft_delete(level: str) -> bool:
    """Return whether deleted keys of the vault can be recovered."""
    return level.startswith(("Recoverable", "CustomizedRecoverable"))


def is_purge_protected(level: str) -> bool:
    """Return whether nobody may purge before the retention period ends."""
    return has_soft_delete(level) and "Purgeable" not in level
