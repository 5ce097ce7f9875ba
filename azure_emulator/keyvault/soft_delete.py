"""Operations of soft delete: delete, recover, purge.

Owns the answers; ``Vault`` owns the states. Must not change versions.
"""

from __future__ import annotations

from typing import Any

from azure_emulator.keyvault.call import Call


async def delete(call: Call) -> dict[str, Any]:
    """Delete the whole key with all its versions."""
    record = call.vault.delete(call.name)
    bundle = call.formatter.bundle(record, record.current())
    # Without soft delete the key is gone at once, and the answer has no recoveryId.
    return call.formatter.deletion(record) | bundle if record.deleted_at is not None else bundle


async def recover(call: Call) -> dict[str, Any]:
    """Bring a deleted key back."""
    record = call.vault.recover(call.name)
    return call.formatter.bundle(record, record.current())


async def purge(call: Call) -> None:
    """Destroy a deleted key for good."""
    call.vault.purge(call.name)
