"""Converts the SDK's objects into neutral ones."""

from __future__ import annotations

from typing import Any

from azure.keyvault.keys import DeletedKey as SdkDeletedKey
from azure.keyvault.keys import (
    KeyProperties,
    KeyRotationLifetimeAction,
    KeyRotationPolicy,
    KeyRotationPolicyAction,
    KeyVaultKey,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cloudcreds.provider import recovery
from cloudcreds.provider.types import DeletedKey, KekPublicKey, RotationPolicy, VaultKey, VersionInfo
from kmes.core.stored_text import storable

CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "P-256K": ec.SECP256K1(),
    # Its old name (docs/azure.md#keys-api).
    "SECP256K1": ec.SECP256K1(),
}


def _public_spki(jwk: Any) -> bytes:
    """Return the public half of a JSON web key (RFC 7518, 6.2 and 6.3) as SubjectPublicKeyInfo.

    Empty for a key that can't be compared: of a type that is not known here, or with damaged numbers.
    """
    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    try:
        if jwk.n:
            public = rsa.RSAPublicNumbers(e=int.from_bytes(jwk.e), n=int.from_bytes(jwk.n)).public_key()
        elif jwk.x:
            curve = CURVES[text(jwk.crv)]
            public = ec.EllipticCurvePublicNumbers(int.from_bytes(jwk.x), int.from_bytes(jwk.y), curve).public_key()
        else:
            return b""
    except (ValueError, KeyError, TypeError):
        return b""
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def text(value: Any) -> str:
    """Return an SDK enum or string as a plain string that a row can keep."""
    return storable(str(getattr(value, "value", value) or ""))


def _tags(told: Any) -> dict[str, str]:
    """Return tags. Anyone who can write to the vault may have chosen them."""
    return {text(name): text(value) for name, value in (told or {}).items()}


def key(sdk: KeyVaultKey) -> VaultKey:
    """Convert a key bundle."""
    properties = sdk.properties
    return VaultKey(
        kid=sdk.id,
        name=sdk.name,
        version=properties.version or "",
        kty=text(sdk.key_type),
        public_spki=_public_spki(sdk.key),
        enabled=bool(properties.enabled),
        created_on=properties.created_on,
        expires_on=properties.expires_on,
        recovery_level=text(properties.recovery_level),
        recoverable_days=recovery.days_of(properties.recoverable_days),
        key_ops=tuple(text(operation) for operation in sdk.key_operations or ()),
        tags=_tags(properties.tags),
        updated_on=properties.updated_on,
        not_before=properties.not_before,
    )


def kek(sdk: KeyVaultKey) -> KekPublicKey:
    """Convert the bundle of a key-encryption key."""
    # The SDK's JsonWebKey sets its members as attributes at run time.
    numbers: Any = sdk.key
    made, ends = sdk.properties.created_on, sdk.properties.expires_on
    return KekPublicKey(
        kid=sdk.id,
        name=sdk.name,
        version=sdk.properties.version or "",
        modulus=int.from_bytes(numbers.n),
        exponent=int.from_bytes(numbers.e),
        recovery_level=text(sdk.properties.recovery_level),
        recoverable_days=recovery.days_of(sdk.properties.recoverable_days),
        lifetime=ends - made if made and ends else None,
    )


def version(properties: KeyProperties) -> VersionInfo:
    """Convert one row of a version listing."""
    return VersionInfo(
        kid=properties.id,
        version=properties.version or "",
        enabled=bool(properties.enabled),
        created_on=properties.created_on,
        expires_on=properties.expires_on,
        tags=_tags(properties.tags),
        updated_on=properties.updated_on,
        not_before=properties.not_before,
        hsm_platform=text(properties.hsm_platform),
    )


def rotation_policy(sdk: KeyRotationPolicy) -> RotationPolicy:
    """Convert a rotation policy. An action of a kind that is not known here is left out."""
    found: dict[str, str] = {}
    for each in sdk.lifetime_actions:
        kind = text(each.action).lower()
        for moment in ("after_create", "before_expiry"):
            found[f"{kind}_{moment}"] = text(getattr(each, f"time_{moment}"))
    return RotationPolicy(
        rotate_after_create=found.get("rotate_after_create", ""),
        rotate_before_expiry=found.get("rotate_before_expiry", ""),
        notify_before_expiry=found.get("notify_before_expiry", ""),
        expires_after=text(sdk.expires_in),
    )


def sdk_rotation_policy(policy: RotationPolicy) -> KeyRotationPolicy:
    """Convert a rotation policy into the SDK's."""
    actions = []
    if policy.rotates:
        actions.append(
            KeyRotationLifetimeAction(
                KeyRotationPolicyAction.rotate,
                time_after_create=policy.rotate_after_create or None,
                time_before_expiry=policy.rotate_before_expiry or None,
            )
        )
    if policy.notify_before_expiry:
        actions.append(
            KeyRotationLifetimeAction(KeyRotationPolicyAction.notify, time_before_expiry=policy.notify_before_expiry)
        )
    return KeyRotationPolicy(lifetime_actions=actions, expires_in=policy.expires_after or None)


def deleted(sdk: SdkDeletedKey) -> DeletedKey:
    """Convert a deleted key."""
    return DeletedKey(
        name=sdk.name,
        recovery_id=sdk.recovery_id or "",
        deleted_on=sdk.deleted_date,
        scheduled_purge_on=sdk.scheduled_purge_date,
    )
