"""Sealing of secrets under the MFK's public half: anybody may seal, only the device can open.

Envelope, version 1: ``b"KS1"``, two bytes length of the wrapped key (big endian), the AES-256 key under
RSA-OAEP (SHA-1: what SoftHSM's OAEP offers; collision resistance plays no part in OAEP), twelve
bytes nonce, AES-256-GCM ciphertext with tag (NIST SP 800-38D). The associated data ties a sealed
secret to its credential, its holder and its place (``hsm.marks.seal_context``). No device is touched here.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.utils.translation import gettext as _

from kmes.core.errors import DeviceError
from kmes.core.secret_types import SecretText

MAGIC = b"KS1"
NONCE_BYTES = 12


def seal(clear: SecretText, *, aad: bytes, mfk_public_spki: bytes) -> bytes:
    """Seal a text so that only the device can open it, and only with the same associated data."""
    public = serialization.load_der_public_key(mfk_public_spki)
    if not isinstance(public, rsa.RSAPublicKey):
        raise DeviceError(
            _("The MFK's public half is not an RSA key."), _("Run manage.py hsm_init."), code="major_keys"
        )
    key, nonce = AESGCM.generate_key(256), os.urandom(NONCE_BYTES)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    wrapped = public.encrypt(key, oaep)
    return MAGIC + len(wrapped).to_bytes(2) + wrapped + nonce + AESGCM(key).encrypt(nonce, clear.reveal().encode(), aad)


def unseal(sealed: bytes, *, aad: bytes, decrypt: Callable[[bytes], bytes]) -> SecretText:
    """Open a sealed text; ``decrypt`` is the device's RSA-OAEP decryption with the MFK.

    Raises:
        DeviceError: the envelope is damaged, or was sealed for another row (code ``sealed_damaged``).

    """
    damaged = DeviceError(
        _("A stored secret can't be opened: it was changed, moved, or sealed for another device."),
        _("Type the secret again in the cloud credential."),
        code="sealed_damaged",
    )
    if not sealed.startswith(MAGIC) or len(sealed) < len(MAGIC) + 2:
        raise damaged
    start = len(MAGIC) + 2
    size = int.from_bytes(sealed[len(MAGIC) : start])
    wrapped, rest = sealed[start : start + size], sealed[start + size :]
    try:
        key = decrypt(wrapped)
        return SecretText(AESGCM(key).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], aad).decode())
    except (InvalidTag, ValueError) as error:
        raise damaged from error
