"""Versions that clients can't make: of any key type, with a public half only.

Owns the check of their description, which comes from the control API. Must not be
reachable through the data plane.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from azure_emulator.changes import BadChange
from azure_emulator.keyvault.model import KeyRecord, KeyVersion
from azure_emulator.keyvault.vault import Vault

NAME = re.compile(r"^[0-9a-zA-Z-]{1,127}\Z")
VERSION = re.compile(r"^[0-9a-f]{32}\Z")
FOREIGN = "foreign"
NUMBERS = ("created", "updated", "nbf", "exp")


def read_object(body: dict[str, Any], name: str) -> dict[str, Any]:
    """A member that is an object, empty when absent."""
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise BadChange(f"'{name}' must be an object.")
    return value


def add_foreign_version(vault: Vault, body: Any) -> dict[str, Any]:
    """Add a version with these members; it can be listed, read, updated and deleted, but not used."""
    if not isinstance(body, dict) or not NAME.match(str(body.get("name", ""))):
        raise BadChange("'name' must be the name of a key.")
    key, attributes, tags = (read_object(body, name) for name in ("key", "attributes", "tags"))
    if not isinstance(key.get("kty"), str) or not key["kty"]:
        raise BadChange("'key' must have a 'kty'.")
    version = str(body.get("version") or uuid.uuid4().hex)
    if not VERSION.match(version):
        raise BadChange("'version' must be 32 hexadecimal digits.")
    if any(
        isinstance(attributes.get(name, 0), bool) or not isinstance(attributes.get(name, 0), int) for name in NUMBERS
    ):
        raise BadChange(f"The attributes {', '.join(NUMBERS)} are whole numbers of seconds.")
    now = int(vault.now())
    foreign = KeyVersion(
        version=version,
        sequence=0,
        kty=key["kty"],
        key_ops=[str(word) for word in key.get("key_ops") or []],
        origin=FOREIGN,
        pem="",
        public={name: value for name, value in key.items() if name not in ("kty", "key_ops", "kid")},
        created=attributes.get("created", now),
        updated=attributes.get("updated", now),
        enabled=attributes.get("enabled", True) is not False,
        nbf=attributes.get("nbf"),
        exp=attributes.get("exp"),
        tags={str(name): str(value) for name, value in tags.items()},
        platform=str(attributes.get("hsmPlatform", "")),
    )
    record = vault.find_live(body["name"]) or KeyRecord(name=body["name"])
    record.add(foreign)
    vault.save(record)
    return {"name": record.name, "version": version}
