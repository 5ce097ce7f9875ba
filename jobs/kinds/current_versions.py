"""Whether a version is the current one of its Azure key, as the vault itself has it."""

from __future__ import annotations

from collections.abc import Iterable

from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VaultKey


def is_one_current(gateway: VaultGateway, name: str, versions: Iterable[str]) -> bool:
    """Return whether one of these versions of an Azure key is the current one, or may be it.

    What the vault takes each name for counts, not the name: an empty one stands for the current version, and other case
    names the same version (docs/azure.md). Rows may hold either.

    What the vault calls current may be some seconds old. So a version that was created after that one counts as
    current, and so does one of which this can't be told: the answer True only asks for an approval.
    """
    current = gateway.get_key(name)
    return any(_may_be(current, gateway.get_key(name, version)) for version in versions)


def _may_be(current: VaultKey | None, version: VaultKey | None) -> bool:
    if current is None or version is None or current.created_on is None or version.created_on is None:
        return True
    return version.version.lower() == current.version.lower() or version.created_on > current.created_on
