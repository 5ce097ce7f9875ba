"""Makes what the key group tests work with."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloudcreds.models import CloudCredential, KeyVault
from keygroups import lifecycle
from keygroups.models import Key, KeyGroup
from keygroups.values import GroupValues
from keygroups.version_moves import Pushed
from kmes.core.clock import now


def make_credential(name="Contoso", **changes: Any):
    """A credential row; nothing here opens its secret."""
    values = {
        "tenant_id": "11111111-1111-1111-1111-111111111111",
        "client_id": "22222222-2222-2222-2222-222222222222",
        "sealed_secret": b"sealed",
        "secret_set_at": now(),
        **changes,
    }
    return CloudCredential.objects.create(name=name, **values)


def make_vault(credential, name="kv-prod", *, tier="premium"):
    """A vault of Azure's public cloud."""
    return KeyVault.objects.create(credential=credential, name=name, url=f"https://{name}.vault.azure.net", tier=tier)


def make_group(vault, name="payments", **changes: Any):
    """A group with its schedule, as the service makes it."""
    values = {"key_spec": "RSA-2048", "usage": ["sign"], "azure_name": name, **changes}
    group = KeyGroup.objects.create(name=name, credential=vault.credential, vault=vault, **values)
    lifecycle.schedule_rotation(group=group, anchor_at=now())
    return group


@cache
def public_half(spec: str) -> bytes:
    """The DER SubjectPublicKeyInfo of a throw-away key of the given type."""
    curves = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1, "P-256K": ec.SECP256K1}
    private: Any
    if spec in curves:
        private = ec.generate_private_key(curves[spec]())
    else:
        private = rsa.generate_private_key(65537, int(spec.removeprefix("RSA-")))
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def make_key(group, name="first", *, spec: str = "", created_by="a-custodian"):
    """A present key as a create job leaves it, but for its private half."""
    spec = spec or group.key_spec
    spki = public_half(spec)
    return Key.objects.create(
        group=group,
        name=name,
        key_spec=spec,
        public_spki=spki,
        wrapped_private=b"wrapped",
        thumbprint=hashlib.sha256(spki + name.encode()).hexdigest(),
        created_by=created_by,
    )


def push(key, *, enabled=True, at=None):
    """Record the key as pushed, by the steps a job takes."""
    version = lifecycle.begin_push(key=key)
    azure_version = hashlib.md5(key.name.encode()).hexdigest()  # noqa: S324 - only looks like Azure's
    kid = f"{key.group.vault.url}/keys/{key.group.azure_name}/{azure_version}"
    lifecycle.record_pushed([Pushed(version, azure_version, kid, at or now(), enabled)])
    version.refresh_from_db()
    return version


def values(credential, **changes: Any):
    """What a person typed for an ordinary group."""
    typed = {"name": "payments", "credential": credential, "vault": "kv-prod", "key_spec": "RSA-2048", **changes}
    return GroupValues(**typed)


def typed(credential, chosen=None, /, **changes: Any) -> dict[str, Any]:
    """The same as form fields."""
    return {
        "name": "payments",
        "service": "azure",
        "credential": str(credential.pk),
        "consumer": "",
        "key_type": "RSA",
        "key_spec": "RSA-2048",
        "usage": ["sign"],
        "rotate": "on",
        "rotate_every": "90",
        "rotate_unit": "days",
        "valid_for": "",
        "valid_unit": "days",
        "owner": "",
        "notes": "",
        "tags": "",
        "vault": str(chosen.pk) if chosen else "",
        "vault_url": "" if chosen else "kv-prod",
        "azure_name": "",
        "enabled_on_push": "on",
        "lock_version": "",
        **changes,
    }


def edit_form(group, **changes: Any) -> dict[str, Any]:
    """The fields of the form that edits a group, as it shows them."""
    return typed(
        group.credential,
        group.vault,
        **{"name": group.name, "azure_name": group.azure_name, "lock_version": str(group.lock_version), **changes},
    )
