"""Builders of rows and values for the credential tests."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from cloudcreds.models import KeyVault
from cloudcreds.seals import context_of_secret
from cloudcreds.values import CredentialValues
from hsm.models import HsmDevice
from hsm.sealing import unseal
from keygroups.models import KeyGroup
from kmes.core.clock import now
from kmes.core.pinned_keys import KeyUse, pin
from kmes.core.public_keys import fingerprint
from kmes.core.secret_types import SecretText

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
OTHER = "99999999-9999-9999-9999-999999999999"
SECRET = "Qx8~known.secret-of-the-tests_01"


def make_device(mfk, *, serial="T1"):
    """A designated device row, its MFK pinned as ``hsm_init`` does it."""
    spki = mfk.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    pin({KeyUse.MFK: fingerprint(spki)})
    return HsmDevice.objects.create(
        serial=serial,
        label="KMES",
        manufacturer="tests",
        model="tests",
        firmware="1",
        mfk_public_spki=spki,
        mfk_kcv="000000",
        pmk_kcv="000000",
        sentinel_hash="0" * 64,
        is_designated=True,
        last_seen_at=now(),
    )


def values(*, secret: str | None = None, **changes: Any):
    """The typed values of an ordinary Azure credential."""
    typed = {"name": "Contoso", "tenant_id": TENANT, "client_id": CLIENT, **changes}
    return CredentialValues(**typed, secret=SecretText(secret) if secret is not None else None)


def typed(**changes: Any) -> dict[str, Any]:
    """The same as form fields."""
    return {
        "name": "Contoso",
        "service": "azure",
        "cloud": "public",
        "tenant_id": TENANT,
        "client_id": CLIENT,
        "secret": SECRET,
        "secret_id": "",
        "sign_in_expires_on": "",
        "authority_url": "",
        "arm_url": "",
        **changes,
    }


def make_group(credential, name="payments", *, url="https://kv-one.vault.azure.net"):
    """A key group that pushes through the credential."""
    vault, _made = KeyVault.objects.get_or_create(credential=credential, url=url, defaults={"name": "kv-one"})
    return KeyGroup.objects.create(
        name=name, key_spec="RSA-2048", usage=["sign"], credential=credential, vault=vault, azure_name=name
    )


def open_sealed(credential, mfk) -> str:
    """Open the stored secret as the device would."""
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    return unseal(
        bytes(credential.sealed_secret),
        aad=context_of_secret(credential),
        decrypt=lambda wrapped: mfk.decrypt(wrapped, oaep),
    ).reveal()
