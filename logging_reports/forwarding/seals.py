"""The seal of a destination's row, and its token: both by keys derived from SECRET_KEY, which the database does not hold.

Whoever writes to the database can't lead the log elsewhere: a row without its seal is not sent to. The token is
encrypted for one address. Why so: docs/decisions/0024-the-log-is-the-spool.md.
"""

from __future__ import annotations

import base64
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.utils.crypto import salted_hmac

from kmes.core import known_secrets
from kmes.core.secret_types import SecretText
from logging_reports.chain import canonical_json
from logging_reports.forwarding.models import ForwardingDestination

_SEAL, _TOKEN = "kmes.forwarding.destination", "kmes.forwarding.token"
_ADDRESS = ("id", "transport", "host", "port", "path", "ca_certificates")
_SEALED = (*_ADDRESS, "name", "is_enabled", "row_format", "token", "services", "lowest_severity", "events")
_NONCE_BYTES = 12


class TokenLostError(Exception):
    """The token can't be decrypted: SECRET_KEY or the destination's address is another one than when it was stored."""


def make_seal(destination: ForwardingDestination) -> str:
    """Return the seal of the row as it is."""
    return salted_hmac(_SEAL, _canonical(destination, _SEALED), algorithm="sha256").hexdigest()


def has_valid_seal(destination: ForwardingDestination) -> bool:
    """Return whether the console wrote the row as it is."""
    return hmac.compare_digest(destination.seal, make_seal(destination))


def encrypt_token(destination: ForwardingDestination, token: SecretText) -> str:
    """Return a token as the row keeps it, for the row's present address alone; "" for an empty one."""
    if not token:
        return ""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _cipher(destination).encrypt(nonce, token.reveal().encode(), _canonical(destination, _ADDRESS).encode())
    return base64.b64encode(nonce + sealed).decode()


def decrypt_token(destination: ForwardingDestination) -> SecretText:
    """Return the row's token; an empty one if it has none.

    Raises:
        TokenLostError: it can't be decrypted.

    """
    if not destination.token:
        return SecretText("")
    try:
        sealed = base64.b64decode(destination.token, validate=True)
        context = _canonical(destination, _ADDRESS).encode()
        token = _cipher(destination).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context).decode()
    except (InvalidTag, ValueError) as error:
        raise TokenLostError from error
    known_secrets.remember(token)
    return SecretText(token)


def _cipher(destination: ForwardingDestination) -> AESGCM:
    return AESGCM(salted_hmac(_TOKEN, str(destination.pk), algorithm="sha256").digest())


def _canonical(destination: ForwardingDestination, names: tuple[str, ...]) -> str:
    values = {name: getattr(destination, name) for name in names}
    return canonical_json({**values, "id": str(destination.pk)})
