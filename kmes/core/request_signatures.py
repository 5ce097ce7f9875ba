"""Signs what a process asks for, and verifies what another one asked for (Ed25519, RFC 8032).

What is signed is canonical JSON (``kmes.core.canonical_json``).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.utils.translation import gettext as _

from kmes.core import request_keys
from kmes.core.canonical_json import encode
from kmes.core.errors import KmesError
from kmes.core.request_keys import Signer

__all__ = ["RequestKeyError", "encode", "is_known", "is_signed", "sign"]


class RequestKeyError(KmesError):
    """A key of requests can't be read."""

    code = "request_key"


def sign(message: bytes, signer: Signer) -> bytes:
    """Sign as a process.

    Raises:
        RequestKeyError: its private half can't be read here.

    """
    path = request_keys.private_file(settings.KMES_REQUEST_KEYS_DIR, signer)
    try:
        return _private_half(path, _mark(path)).sign(message)
    except (OSError, ValueError) as error:
        raise RequestKeyError(
            _("Nothing can be requested: the key that signs requests can't be read from %(path)s.") % {"path": path},
            _("Run manage.py make_request_keys, and check the file's owner and mode."),
        ) from error


def is_signed(message: bytes, signature: bytes, signer: str) -> bool:
    """Return whether a process signed this; false for a process that is not known.

    Raises:
        RequestKeyError: the file of public halves can't be read.

    """
    return any(_is_of(key, message, signature) for key in _accepted().get(signer, ()))


def is_known(signer: str) -> bool:
    """Return whether any public half of this signer is accepted.

    Raises:
        RequestKeyError: the file of public halves can't be read.

    """
    return bool(_accepted().get(signer))


def _accepted() -> dict[str, tuple[Ed25519PublicKey, ...]]:
    path = Path(settings.KMES_REQUEST_SIGNERS_FILE)
    try:
        return _public_halves(path, _mark(path))
    except (OSError, ValueError) as error:
        raise RequestKeyError(
            _("No request can be verified: the public keys can't be read from %(path)s.") % {"path": path},
            _("Run manage.py make_request_keys, and check the file's content and mode."),
            retryable=True,
        ) from error


def _is_of(key: Ed25519PublicKey, message: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _mark(path: Path) -> tuple[int, int, int]:
    """Return what differs once a file was replaced."""
    found = path.stat()
    return (found.st_mtime_ns, found.st_ino, found.st_size)


# Kept by the file's mark: reading a key takes as long as some signatures.
@lru_cache(maxsize=8)
def _private_half(path: Path, _mark: tuple[int, int, int]) -> Ed25519PrivateKey:
    return request_keys.load_private_half(path)


@lru_cache(maxsize=8)
def _public_halves(path: Path, _mark: tuple[int, int, int]) -> dict[str, tuple[Ed25519PublicKey, ...]]:
    found = request_keys.read_signers(path)
    return {name: tuple(request_keys.load_public_half(key) for key in keys) for name, keys in found.items()}
