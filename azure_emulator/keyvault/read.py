"""Read operations: get a key, list keys, list versions.

Owns what each listing shows and in which order. Must not change anything.
"""

from __future__ import annotations

from typing import Any

from azure_emulator.keyvault.call import Call
from azure_emulator.keyvault.paging import page


async def get(call: Call) -> dict[str, Any]:
    """One version, the current one when none is named; disabled ones too."""
    record, version = call.vault.live_version(call.name, call.version)
    return call.formatter.bundle(record, version)


async def list_keys(call: Call) -> dict[str, Any]:
    """All live keys by name."""
    records = {record.name.lower(): record for record in call.vault.live_records()}

    def shown(name: str) -> dict[str, Any]:
        record = records[name]
        return call.formatter.item(record, record.current(), with_version=False)

    return page(call, "/keys", list(records), shown)


async def list_versions(call: Call) -> dict[str, Any]:
    """Ordered by the version's id, not by its age, as the real service does."""
    record = call.vault.find_live(call.name)
    if record is None:
        # Not a 404 (docs/azure.md, "Keys API").
        return {"value": [], "nextLink": None}

    def shown(identifier: str) -> dict[str, Any]:
        return call.formatter.item(record, record.versions[identifier], with_version=True)

    return page(call, f"/keys/{record.name}/versions", sorted(record.versions), shown)


async def list_deleted(call: Call) -> dict[str, Any]:
    """All deleted keys by name."""
    records = {record.name.lower(): record for record in call.vault.deleted_records()}

    def shown(name: str) -> dict[str, Any]:
        record = records[name]
        return call.formatter.deletion(record) | call.formatter.item(record, record.current(), with_version=False)

    return page(call, "/deletedkeys", list(records), shown)


async def get_deleted(call: Call) -> dict[str, Any]:
    """One deleted key."""
    record = call.vault.deleted(call.name)
    return call.formatter.deletion(record) | call.formatter.bundle(record, record.current())
