"""Validation of what a request says about a key besides its material.

Owns the rules for attributes, tags, key operations and release policies. Must not
read or change stored keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure_emulator.keyvault import api_versions, errors
from azure_emulator.keyvault.material import unb64url

RSA_OPERATIONS = ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]
EC_OPERATIONS = ["sign", "verify"]
IMPORT = "import"
SECURE_WRAP_OPERATIONS = ["secureWrapKey", "secureUnwrapKey"]
EXTERNAL_KEY_ID = re.compile(r"^[a-zA-Z0-9-]{1,64}\Z")
KEY_TYPES = ("RSA", "RSA-HSM", "EC", "EC-HSM")
MAX_TAGS = 15
# The last second of the year 9999.
LATEST = 253_402_300_799
MAX_TAG_CHARACTERS = 256


@dataclass(frozen=True)
class Attributes:
    """Attributes as sent; None means absent."""

    enabled: bool | None = None
    nbf: int | None = None
    exp: int | None = None
    exportable: bool | None = None


def read_flag(values: Mapping[str, Any], name: str) -> bool | None:
    """A member that is true, false or absent."""
    value = values.get(name)
    if value is not None and not isinstance(value, bool):
        raise errors.bad_parameter(f"The attribute '{name}' must be true or false.")
    return value


def read_time(values: Mapping[str, Any], name: str) -> int | None:
    """A member that is a Unix time in seconds or absent."""
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LATEST:
        raise errors.bad_parameter(f"The attribute '{name}' must be a number of seconds since 1970-01-01.")
    return value


def read_attributes(body: Mapping[str, Any]) -> Attributes:
    """The request's attributes, checked; unknown and read-only members are passed over."""
    values = body.get("attributes")
    if values is None:
        return Attributes()
    if not isinstance(values, dict):
        raise errors.bad_parameter("The property 'attributes' must be an object.")
    found = Attributes(
        read_flag(values, "enabled"),
        read_time(values, "nbf"),
        read_time(values, "exp"),
        read_flag(values, "exportable"),
    )
    check_window(found.nbf, found.exp)
    return found


def check_window(nbf: int | None, exp: int | None) -> None:
    """A key must become valid before it expires."""
    if nbf is not None and exp is not None and nbf >= exp:
        raise errors.bad_parameter("The attribute 'exp' must be later than 'nbf'.")


def read_tags(body: Mapping[str, Any]) -> dict[str, str] | None:
    """The request's tags, checked; None when absent."""
    tags = body.get("tags")
    if tags is None:
        return None
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise errors.bad_parameter("The property 'tags' must map names to texts.")
    if len(tags) > MAX_TAGS:
        raise errors.bad_parameter(f"A key can have at most {MAX_TAGS} tags.")
    if any(len(name) > MAX_TAG_CHARACTERS or len(value) > MAX_TAG_CHARACTERS for name, value in tags.items()):
        raise errors.bad_parameter(f"Tag names and values can have at most {MAX_TAG_CHARACTERS} characters.")
    return dict(tags)


def default_operations(kty: str) -> list[str]:
    """What a key may do when the request doesn't say."""
    return list(RSA_OPERATIONS if kty.startswith("RSA") else EC_OPERATIONS)


def read_operations(values: Any, kty: str, *, may_import: bool, api_version: str) -> list[str] | None:
    """``import`` marks a key exchange key: RSA-HSM only, and never beside another operation."""
    if values is None:
        return None
    if not isinstance(values, list) or not all(isinstance(word, str) for word in values):
        raise errors.bad_parameter("The property 'key_ops' must be a list of texts.")
    allowed = default_operations(kty) + ([IMPORT] if kty == "RSA-HSM" and may_import else [])
    if kty == "RSA-HSM" and api_versions.is_at_least(api_version, api_versions.SECURE_WRAP):
        allowed += SECURE_WRAP_OPERATIONS
    unsupported = [word for word in values if word not in allowed]
    if unsupported:
        raise errors.bad_parameter(
            f"Unsupported key operation(s): {', '.join(unsupported)}. Supported values are {', '.join(allowed)}"
        )
    if IMPORT in values and len(set(values)) > 1:
        raise errors.bad_parameter("The key operation 'import' can't be combined with any other key operation.")
    return list(dict.fromkeys(values))


def read_key_type(value: Any, *, hsm_flag: bool, sku: str) -> str:
    """Key type with its HSM suffix; the suffix or the ``Hsm`` member makes it an HSM key."""
    if not isinstance(value, str) or value not in KEY_TYPES:
        raise errors.bad_parameter(f"Invalid kty value: {'' if value is None else value}", "KeyTypeNotSupported")
    kty = value if value.endswith("-HSM") or not hsm_flag else f"{value}-HSM"
    if kty.endswith("-HSM") and sku == "standard":
        raise errors.bad_parameter("Hardware key operation not allowed on standard vault")
    return kty


def read_release_policy(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The request's release policy in the form answers show it."""
    policy = body.get("release_policy")
    if policy is None:
        return None
    if not isinstance(policy, dict) or not isinstance(policy.get("data"), str):
        raise errors.bad_parameter("The property 'release_policy' must be an object with 'data'.")
    try:
        unb64url(policy["data"])
    except ValueError as error:
        raise errors.bad_parameter("The release policy's 'data' must be base64url.") from error
    return {
        "contentType": str(policy.get("contentType") or "application/json; charset=utf-8"),
        "data": policy["data"].rstrip("="),
        "immutable": bool(policy.get("immutable", False)),
    }


def check_no_external_key(body: Mapping[str, Any], api_version: str) -> None:
    """Keys kept outside Azure are named by ``external_key``; only a managed HSM has them."""
    attributes = body.get("attributes")
    external = attributes.get("external_key") if isinstance(attributes, dict) else None
    if external is None or not api_versions.is_at_least(api_version, api_versions.EXTERNAL_KEYS):
        return
    identifier = external.get("id") if isinstance(external, dict) else None
    if not isinstance(identifier, str) or not EXTERNAL_KEY_ID.match(identifier):
        raise errors.bad_parameter("The attribute 'external_key' needs an 'id' of 1 to 64 letters, digits and hyphens.")
    raise errors.bad_parameter("External keys are only available in a managed HSM.")


def check_exportable(exportable: bool, policy: dict[str, Any] | None, kty: str) -> None:
    """A key may leave the HSM only under a release policy that is there from the start."""
    if exportable and policy is None:
        raise errors.bad_parameter("AKV.SKR.1004: Exportable keys must have release policy.")
    if exportable and not kty.endswith("-HSM"):
        raise errors.bad_parameter("Only a key in an HSM can be exportable.")
    if policy is not None and not exportable:
        raise errors.bad_parameter("AKV.SKR.1005: Non-exportable keys must not have release policy.")
