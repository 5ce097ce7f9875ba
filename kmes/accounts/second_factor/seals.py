"""Seals authenticator apps' seeds and passkeys under a key that only the web process has, in a file outside the database.

A seal is a version byte, a nonce of 12 bytes, and the content in AES-256-GCM; it names its user and opens for no other.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.utils.translation import gettext as _

from kmes.core.errors import KmesError
from kmes.core.key_files import KEY_BYTES, make_key

NONCE_BYTES = 12
_VERSION = b"\x01"


class SealError(KmesError):
    """A second factor can't be sealed or opened."""

    code = "second_factor_key"


def seal(content: bytes, *, user_id: int, purpose: str = "app") -> bytes:
    """Seal a seed or a passkey for one user and purpose.

    Raises:
        SealError: the key can't be read or made.

    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    return _VERSION + nonce + AESGCM(_key()).encrypt(nonce, content, _names(user_id, purpose))


def open_seal(sealed: bytes, *, user_id: int, purpose: str = "app") -> bytes:
    """Return what a seal holds.

    Raises:
        SealError: it was sealed under another key, or for another user or purpose.

    """
    nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        if sealed[:1] != _VERSION:
            raise InvalidTag
        return AESGCM(_key()).decrypt(nonce, rest, _names(user_id, purpose))
    except (InvalidTag, ValueError):
        raise SealError(
            _("The second factor can't be checked: its seal does not open."),
            _("Use a recovery code, or have an administrator reset the second factor."),
        ) from None


def _names(user_id: int, purpose: str) -> bytes:
    return f"kmes.totp.1:{purpose}:{user_id}".encode()


def _key() -> bytes:
    path = Path(settings.KMES_SECOND_FACTOR_KEY_FILE)
    try:
        if "KMES_SECOND_FACTOR_KEY_FILE" not in os.environ:
            make_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise SealError(
            _("The key of second factors can't be read: %(error)s.") % {"error": error.strerror},
            _("Check the file that KMES_SECOND_FACTOR_KEY_FILE names, its owner and its mode."),
        ) from None
    if len(key) != KEY_BYTES:
        raise SealError(
            _("The key of second factors is damaged."), _("Put the file back that KMES_SECOND_FACTOR_KEY_FILE names.")
        )
    return key
