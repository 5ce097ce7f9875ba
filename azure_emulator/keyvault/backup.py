"""Backup and restore of a whole key with all its versions.

Owns the sealed backup format: only this stand-in can open it, as with the real
service. Must not be used for its own state files.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from azure_emulator.keyvault import errors
from azure_emulator.keyvault.call import Call
from azure_emulator.keyvault.material import b64url, unb64url
from azure_emulator.keyvault.model import KeyRecord

NONCE_BYTES = 12
MAX_VERSIONS = 500
PURPOSE = b"azure_emulator key backup"


async def backup(call: Call) -> dict[str, Any]:
    """Seal the key with all its versions."""
    record = call.vault.live(call.name)
    if len(record.versions) > MAX_VERSIONS:
        raise errors.bad_parameter(f"A key with more than {MAX_VERSIONS} versions can't be backed up.")
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(call.state.backup_key).encrypt(nonce, json.dumps(record.to_json()).encode(), PURPOSE)
    return {"value": b64url(nonce + sealed)}


def open_backup(call: Call) -> KeyRecord:
    """Unseal a backup made here; anything else is 400."""
    try:
        raw = unb64url(call.body().get("value"))
        plain = AESGCM(call.state.backup_key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], PURPOSE)
    except (ValueError, InvalidTag) as error:
        raise errors.malformed_backup() from error
    return KeyRecord.from_json(json.loads(plain))


async def restore(call: Call) -> dict[str, Any]:
    """Bring a backed-up key back under its own name."""
    record = open_backup(call)
    if call.vault.profile.sku == "standard" and any(version.is_hsm for version in record.versions.values()):
        raise errors.bad_parameter("Hardware key operation not allowed on standard vault")
    if call.vault.check_writable(record.name) is not None:
        raise errors.conflict(f"Key {record.name} already exists.", "KeyAlreadyExists")
    call.vault.save(record)
    return call.formatter.bundle(record, record.current())
