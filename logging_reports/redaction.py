"""Prepares values for the log: masks what looks like a secret, limits lengths.

Texts from a vault are untrusted. They are stored unchanged and escaped when they are shown. Only NUL
and lone surrogates are replaced, because PostgreSQL can't store them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from logging_reports.chain import canonical_json

MASK = "***"
MAX_TEXT_BYTES = 2048
MAX_DATA_BYTES = 16_384
MAX_DEPTH = 8

_SECRET_NAMES = frozenset(
    {
        "accesstoken",
        "assertion",
        "authorization",
        "clientassertion",
        "clientsecret",
        "idtoken",
        "keyhsm",
        "passphrase",
        "password",
        "pin",
        "privatekey",
        "refreshtoken",
        "secret",
        "token",
        "userpin",
    }
)
# A JWT begins with the base64url of '{"'. Bearer headers and form fields are found by name.
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}")
_ASSIGNED = re.compile(
    r"(?i)\b(client[_-]?secret|client[_-]?assertion|access[_-]?token|refresh[_-]?token|password|passphrase|key_hsm)"
    r"(\\?[\"']?\s*[=:]\s*\\?[\"']?)([^\s\"'&,;}\\]+)"
)
_PIN = re.compile(r"(?i)\b(pin[\"']?\s*[=:]\s*[\"']?)\d{4,}")
_PRIVATE_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Cleaner:
    """Cleans the values of one row; ``truncated`` says whether any was cut."""

    def __init__(self) -> None:
        self.truncated = False

    def text(self, value: object, *, limit: int = MAX_TEXT_BYTES) -> str:
        """Return the text masked, storable, and at most ``limit`` UTF-8 bytes long."""
        return self._cap(mask(str(value)), limit)

    def label(self, value: object, *, limit: int) -> str:
        """Return a short label masked and at most ``limit`` characters long."""
        clean = mask(str(value))
        if len(clean) > limit:
            self.truncated = True
        return clean[:limit]

    def data(self, value: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return structured data, masked and limited in total size."""
        clean = self._value(dict(value or {}), 0)
        text = canonical_json(clean)
        if len(text.encode()) <= MAX_DATA_BYTES:
            return dict(clean)
        return {"excerpt": self._cap(text, MAX_TEXT_BYTES)}

    def _cap(self, value: str, limit: int) -> str:
        encoded = value.encode()
        if len(encoded) <= limit:
            return value
        self.truncated = True
        # The cut may split a character; "ignore" drops its first bytes.
        return encoded[:limit].decode("utf-8", "ignore")

    def _value(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | int):
            return value
        if depth < MAX_DEPTH and isinstance(value, Mapping):
            return {self.text(k, limit=128): self._member(str(k), v, depth) for k, v in value.items()}
        if depth < MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
            return [self._value(item, depth + 1) for item in value]
        # Floats become text as well: SQLite and PostgreSQL return 1e20 differently, and the hash must
        # not depend on the database.
        return self.text(value)

    def _member(self, name: str, value: Any, depth: int) -> Any:
        if _is_secret_name(name) and not (value is None or value == "" or isinstance(value, bool)):
            return MASK
        return self._value(value, depth + 1)


def mask(text: str) -> str:
    """Replace what looks like a token, secret or private key with ``***``."""
    if not text:
        return text
    for pattern in (_PRIVATE_PEM, _JWT):
        text = pattern.sub(MASK, text)
    text = _BEARER.sub(rf"\1{MASK}", text)
    text = _PIN.sub(rf"\1{MASK}", text)
    text = _ASSIGNED.sub(rf"\1\2{MASK}", text)
    return _UNSTORABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _is_secret_name(name: str) -> bool:
    return re.sub(r"[^a-z]", "", name.lower()) in _SECRET_NAMES
