"""Rotation: the next version of a key, with new material made in the vault.

Owns rotation on request and rotation that a policy makes due. A Rotate action on an
imported key is accepted, and makes a version that the source HSM does not have
(docs/azure.md, "Azure Policy"). Must not check rotation policies.
"""

from __future__ import annotations

import contextlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from azure_emulator.keyvault import errors, rotation
from azure_emulator.keyvault.attributes import Attributes
from azure_emulator.keyvault.call import Call
from azure_emulator.keyvault.material import PrivateKey
from azure_emulator.keyvault.model import KeyRecord, KeyVersion
from azure_emulator.keyvault.pool import KeyPool
from azure_emulator.keyvault.vault import Vault
from azure_emulator.keyvault.write import KeyProperties, store_version


async def rotate(call: Call) -> dict[str, Any]:
    """Rotate on request."""
    call.vault.check_settled(call.name)
    previous = call.vault.live(call.name).current()
    if previous.origin == "imported" and not call.state.settings.allow_rotate_imported:
        raise errors.bad_parameter(
            "A key whose material was imported can't be rotated by the service; import a new version."
        )
    record, version = await add_rotated_version(call.vault, call.state.pool, call.name)
    return call.formatter.bundle(record, version)


async def add_rotated_version(vault: Vault, pool: KeyPool, name: str) -> tuple[KeyRecord, KeyVersion]:
    """New material; key_ops, attributes and tags come from the version before."""
    previous = vault.live(name).current()
    if not previous.pem:
        raise errors.bad_parameter(f"A key of type {previous.kty} can't be rotated by the service.")
    if isinstance(previous.private, rsa.RSAPrivateKey):
        exponent = previous.private.public_key().public_numbers().e
        private: PrivateKey = await pool.rsa(previous.private.key_size, exponent)
    else:
        private = await pool.ec(previous.curve or "P-256")
    expiry = rotation.expiry_after(vault.live(name).policy, int(vault.now()))
    properties = KeyProperties(
        kty=previous.kty,
        key_ops=list(previous.key_ops),
        attributes=Attributes(previous.enabled, previous.nbf, expiry or previous.exp, previous.exportable),
        tags=dict(previous.tags),
        release_policy=previous.release_policy,
    )
    return store_version(vault, name, properties, private, "generated")


async def rotate_if_due(vault: Vault, pool: KeyPool, name: str) -> bool:
    """Rotate a key whose policy makes that due by the vault's clock."""
    record = vault.find_live(name)
    if record is None or not rotation.is_due(record, int(vault.now())):
        return False
    with contextlib.suppress(errors.ServiceError):
        await add_rotated_version(vault, pool, name)
        return True
    return False


async def rotate_all_due(vault: Vault, pool: KeyPool) -> list[str]:
    """Rotate every key that is due; returns their names."""
    return [record.name for record in vault.live_records() if await rotate_if_due(vault, pool, record.name)]
