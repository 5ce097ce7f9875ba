"""Operations that make or change key versions: create, import, update.

Owns the order of checks: body before state, so 400 comes before 404 and 409. Must not
open transfer blobs; ``byok`` does.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa

from azure_emulator import azure_policy
from azure_emulator.keyvault import attributes, byok, errors
from azure_emulator.keyvault.attributes import Attributes
from azure_emulator.keyvault.call import Call
from azure_emulator.keyvault.errors import ServiceError
from azure_emulator.keyvault.material import (
    CURVES,
    DEFAULT_EXPONENT,
    RSA_SIZES,
    BadMaterial,
    PrivateKey,
    check_private,
    ec_from_jwk,
    public_members,
    rsa_from_jwk,
    to_pem,
)
from azure_emulator.keyvault.model import KeyRecord, KeyVersion, make_version
from azure_emulator.keyvault.vault import Vault

PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "k")
EXPONENTS = (3, DEFAULT_EXPONENT)


@dataclass(frozen=True)
class KeyProperties:
    """The validated properties of a new version, without its material."""

    kty: str
    key_ops: list[str]
    attributes: Attributes
    tags: dict[str, str]
    release_policy: dict[str, Any] | None


def read_properties(
    body: Mapping[str, Any], key: Mapping[str, Any], call: Call, *, hsm_flag: bool, imported: bool
) -> KeyProperties:
    """Check everything in a request except the material."""
    # A request for an external key names no key type.
    attributes.check_no_external_key(body, call.api_version)
    kty = attributes.read_key_type(key.get("kty"), hsm_flag=hsm_flag, sku=call.vault.profile.sku)
    key_ops = attributes.read_operations(key.get("key_ops"), kty, may_import=not imported, api_version=call.api_version)
    found = attributes.read_attributes(body)
    policy = attributes.read_release_policy(body)
    if not set(key_ops or ()) & set(attributes.SECURE_WRAP_OPERATIONS):
        # Secure wrapping needs a release policy on a key that is not exportable.
        attributes.check_exportable(bool(found.exportable), policy, kty)
    return KeyProperties(
        kty=kty,
        key_ops=attributes.default_operations(kty) if key_ops is None else key_ops,
        attributes=found,
        tags=attributes.read_tags(body) or {},
        release_policy=policy,
    )


def store_version(
    vault: Vault, name: str, properties: KeyProperties, private: PrivateKey, origin: str
) -> tuple[KeyRecord, KeyVersion]:
    """Add a version to its key unless Azure Policy denies it; it inherits nothing from earlier versions."""
    now = int(vault.now())
    check_policies(vault, name, properties, private, now)
    record = vault.check_writable(name) or KeyRecord(name=name)
    version = make_version(uuid.uuid4().hex, properties.kty, private, to_pem(private), now, origin)
    version.key_ops = properties.key_ops
    version.enabled = properties.attributes.enabled is not False
    version.nbf, version.exp = properties.attributes.nbf, properties.attributes.exp
    version.exportable = bool(properties.attributes.exportable)
    version.tags, version.release_policy = properties.tags, properties.release_policy
    record.add(version)
    vault.save(record)
    return record, version


def check_policies(vault: Vault, name: str, properties: KeyProperties, private: PrivateKey, now: int) -> None:
    """Refuse a version that an assigned policy denies; existing versions stay as they are."""
    is_rsa = isinstance(private, rsa.RSAPrivateKey)
    new = azure_policy.NewVersion(
        kty=properties.kty,
        rsa_bits=private.key_size if is_rsa else None,
        curve=None if is_rsa else public_members(private)["crv"],
        created=now,
        nbf=properties.attributes.nbf,
        exp=properties.attributes.exp,
    )
    denial = azure_policy.find_denial(vault.profile.policies, new)
    if denial is not None:
        raise errors.denied_by_policy(name, denial.title, denial.identifier, vault.settings.policy_refusal_text)


def read_size(body: Mapping[str, Any]) -> tuple[int, int]:
    """Size and public exponent of a new RSA key."""
    size, exponent = body.get("key_size"), body.get("public_exponent")
    size = RSA_SIZES[0] if size is None else size
    exponent = DEFAULT_EXPONENT if exponent is None else exponent
    if isinstance(size, bool) or size not in RSA_SIZES:
        raise errors.bad_parameter(f"Invalid key_size value: {size}. Supported values are 2048, 3072, 4096")
    if isinstance(exponent, bool) or exponent not in EXPONENTS:
        raise errors.bad_parameter(f"Invalid public_exponent value: {exponent}")
    return int(size), int(exponent)


def read_curve(body: Mapping[str, Any]) -> str:
    """The curve of a new EC key."""
    curve = body.get("crv")
    curve = "P-256" if curve is None else curve
    if not isinstance(curve, str) or curve not in CURVES:
        raise errors.bad_parameter(f"Invalid crv value: {curve}. Supported values are {', '.join(CURVES)}")
    return curve


async def create(call: Call) -> dict[str, Any]:
    """Make a key in the vault."""
    body = call.body()
    properties = read_properties(body, body, call, hsm_flag=False, imported=False)
    size, exponent = read_size(body) if properties.kty.startswith("RSA") else (0, 0)
    curve = "" if size else read_curve(body)
    call.vault.check_writable(call.name)
    if call.fault is not None and call.fault.make_key:
        # The fault makes another key than the client asked for.
        properties = replace(properties, kty=str(call.fault.make_key.get("kty", properties.kty)))
        size = int(call.fault.make_key.get("size", size or RSA_SIZES[0]))
    private: PrivateKey
    if properties.kty.startswith("RSA"):
        private = await call.state.pool.rsa(size, exponent or DEFAULT_EXPONENT)
    else:
        private = await call.state.pool.ec(curve or "P-256")
    # ``store_version`` checks the state again: other requests ran while the key was made.
    return call.formatter.bundle(*store_version(call.vault, call.name, properties, private, "generated"))


async def import_key(call: Call) -> dict[str, Any]:
    """Take a key from outside: by transfer blob, or in the clear."""
    body = call.body()
    key = body.get("key")
    if not isinstance(key, dict):
        raise errors.bad_parameter('The property "key" must be a valid JsonWebKey object')
    hsm_flag = attributes.read_flag(body, "Hsm") or attributes.read_flag(body, "hsm") or False
    properties = read_properties(body, key, call, hsm_flag=hsm_flag, imported=True)
    if key.get("key_hsm") is not None:
        if any(key.get(member) is not None for member in PRIVATE_MEMBERS):
            raise errors.bad_parameter('The property "key" can\'t hold both key_hsm and private members')
        private = byok.open_blob(key["key_hsm"], lambda kid: find_kek(call, kid), call.vault.now())
    else:
        private = load_plain(key, properties.kty)
    check_fit(private, properties.kty, key.get("crv"))
    return call.formatter.bundle(*store_version(call.vault, call.name, properties, private, "imported"))


def load_plain(key: Mapping[str, Any], kty: str) -> PrivateKey:
    """A private key sent in the clear; the service refuses that for EC keys meant for the HSM."""
    if kty == "EC-HSM":
        raise errors.bad_parameter('The property "key" must be a valid JsonWebKey object')
    try:
        return check_private(rsa_from_jwk(key) if kty.startswith("RSA") else ec_from_jwk(key))
    except (ValueError, OverflowError, BadMaterial) as error:
        if kty.startswith("RSA"):
            raise errors.bad_parameter("RSA key is not valid - cannot instantiate crypto service") from error
        raise errors.bad_parameter('The property "key" must be a valid JsonWebKey object') from error


def check_fit(private: PrivateKey, kty: str, crv: Any) -> None:
    """The material must be what the request says it is."""
    is_rsa = isinstance(private, rsa.RSAPrivateKey)
    if is_rsa != kty.startswith("RSA"):
        raise errors.bad_parameter(f"The private key does not match the key type {kty}")
    if is_rsa:
        if crv is not None:
            raise errors.bad_parameter("An RSA key can't have a crv")
        return
    actual = public_members(private)["crv"]
    if crv is None:
        raise errors.bad_parameter("The property crv is needed for an EC key")
    if crv != actual:
        raise errors.bad_parameter(f"The private key is on curve {actual}, not {crv}")


def find_kek(call: Call, kid: str) -> KeyVersion:
    """The live key version a blob's ``kid`` names; it must belong to this vault."""
    parts = urlsplit(kid)
    if parts.scheme.lower() != "https" or parts.netloc.lower() not in own_addresses(call):
        raise byok.refuse("header.kid does not name a key of this vault")
    segments = parts.path.split("/")
    if parts.query or parts.fragment or len(segments) != 4 or segments[1].lower() != "keys" or not all(segments[2:]):
        raise byok.refuse("header.kid must be the full id of a key exchange key with its version")
    try:
        return call.vault.live_version(segments[2], segments[3])[1]
    except ServiceError as error:
        raise byok.refuse("header.kid names a key exchange key or version that does not exist") from error


def own_addresses(call: Call) -> set[str]:
    """Every host and port by which this vault can be reached, with and without the default port."""
    profile = call.vault.profile
    names = {call.base.removeprefix("https://").lower()}
    mapped = f"{profile.name.lower()}{call.state.options.cloud.vault_suffix}"
    names |= {f"localhost:{profile.port}", f"127.0.0.1:{profile.port}", mapped}
    return names | {f"{name}:443" for name in names if ":" not in name} | {name.removesuffix(":443") for name in names}


async def update(call: Call) -> dict[str, Any]:
    """Change the properties of one version; its material stays."""
    body = call.body()
    found = attributes.read_attributes(body)
    tags = attributes.read_tags(body)
    policy = attributes.read_release_policy(body)
    call.vault.check_settled(call.name)
    record, version = call.vault.live_version(call.name, call.version)
    key_ops = attributes.read_operations(
        body.get("key_ops"), version.kty, may_import=version.origin == "generated", api_version=call.api_version
    )
    attributes.check_window(
        found.nbf if found.nbf is not None else version.nbf, found.exp if found.exp is not None else version.exp
    )
    if found.exportable is not None and found.exportable != version.exportable:
        raise errors.bad_parameter("The attribute 'exportable' can't be changed after a version is made.")
    if policy is not None:
        change_release_policy(version, policy)
    apply_update(version, found, key_ops, tags)
    version.updated = int(call.vault.now())
    call.vault.save(record)
    return call.formatter.bundle(record, version)


def change_release_policy(version: KeyVersion, policy: dict[str, Any]) -> None:
    """Replace the release policy of an exportable key."""
    attributes.check_exportable(version.exportable, policy, version.kty)
    if version.release_policy and version.release_policy["immutable"]:
        raise errors.bad_parameter("AKV.SKR.1020: Immutable Key Release Policy cannot be modified.")
    version.release_policy = policy


def apply_update(
    version: KeyVersion, found: Attributes, key_ops: list[str] | None, tags: dict[str, str] | None
) -> None:
    """Absent members stay untouched; tags are replaced as a whole."""
    if found.enabled is not None:
        version.enabled = found.enabled
    if found.nbf is not None:
        version.nbf = found.nbf
    if found.exp is not None:
        version.exp = found.exp
    if key_ops is not None:
        version.key_ops = key_ops
    if tags is not None:
        version.tags = tags


def creates_hsm_key(call: Call) -> bool:
    """Which creation limit a request counts against; called before validation."""
    body = call.peek()
    key = body.get("key") if isinstance(body.get("key"), dict) else body
    if body.get("Hsm") is True or str((key or {}).get("kty", "")).endswith("-HSM"):
        return True
    if call.operation == "rotate":
        record = call.vault.keys.get(call.name.lower())
        return record is not None and record.current().is_hsm
    return False
