"""Whether a version is the current one of its Azure key, as the vault itself has it."""

from __future__ import annotations

from collections.abc import Iterable

from cloudcreds.provider.protocol import VaultGateway


def is_one_current(gateway: VaultGateway, name: str, versions: Iterable[str]) -> bool:
    """Return whether one of these versions of an Azure key is the current one.

    What the vault takes each name for counts, not the name: an empty one stands for the current version, and other case
    names the same version (docs/azure.md). Rows may hold either.
    """
    current = gateway.get_key(name)
    if current is None:
        return False
    found = (gateway.get_key(name, version) for version in versions)
    return any(each is not None and each.version.lower() == current.version.lower() for each in found)
