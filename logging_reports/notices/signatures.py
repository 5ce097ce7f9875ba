"""Signatures of webhook bodies, with a key that is derived from Django's SECRET_KEY and never stored.

See docs/decisions/0009-webhook-keys-are-derived.md and docs/notices.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from django.utils.crypto import salted_hmac

from logging_reports.notices.models import Channel

_PURPOSE = "kmes.notices.webhook"
VERSION = "v1"


def new_salt() -> str:
    """Return a new salt, which gives a new signing key."""
    return secrets.token_hex(16)


def signing_key(channel: Channel) -> str:
    """Return the webhook's signing key, with which its receiver checks signatures."""
    digest = salted_hmac(_PURPOSE, f"{channel.pk}:{channel.salt}", algorithm="sha256").digest()
    return "kmes_" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def check_value(channel: Channel) -> str:
    """Return six hexadecimal digits that identify the signing key without revealing it."""
    return hashlib.sha256(signing_key(channel).encode()).hexdigest()[:6].upper()


def sign(key: str, timestamp: int, body: bytes) -> str:
    """Return the value of the signature header: HMAC-SHA256 over timestamp, a dot and the body."""
    digest = hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"{VERSION}={digest}"
