"""Time-based one-time passwords (RFC 6238) as every authenticator app knows them: SHA-1, 6 digits, 30 seconds."""

from __future__ import annotations

import base64
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

DIGITS, STEP_SECONDS = 6, 30
# RFC 4226, section 4, recommends 160 bits.
SEED_BYTES = 20
# One step before and after: clocks of telephones differ, and typing takes time (RFC 6238, section 5.2).
TOLERANCE = 1
ISSUER = "KMES console"


def new_seed() -> bytes:
    """Return a random seed."""
    return secrets.token_bytes(SEED_BYTES)


def as_text(seed: bytes) -> str:
    """Return a seed as apps take it by hand: base32."""
    return base64.b32encode(seed).decode()


def address(seed: bytes, *, name: str) -> str:
    """Return the otpauth address that apps read from a QR code."""
    label = quote(f"{ISSUER}:{name}", safe="")
    return f"otpauth://totp/{label}?{urlencode({'secret': as_text(seed), 'issuer': ISSUER}, quote_via=quote)}"


def code_at(seed: bytes, step: int) -> str:
    """Return the code of a step."""
    # SHA-1 is what all apps know; the code rests on HMAC, not on resistance to collisions (docs/cryptography.md).
    return TOTP(seed, DIGITS, SHA1(), STEP_SECONDS).generate(step * STEP_SECONDS).decode()


def step_of(moment: datetime) -> int:
    """Return the step of a moment."""
    return int(moment.timestamp()) // STEP_SECONDS


def matching_step(seed: bytes, code: str, *, at: datetime) -> int | None:
    """Return the step that a code belongs to, if it is near the moment; the newest, if it belongs to several."""
    present = step_of(at)
    matches = [
        step
        for step in range(present - TOLERANCE, present + TOLERANCE + 1)
        if hmac.compare_digest(code_at(seed, step).encode(), code.encode())
    ]
    return max(matches, default=None)
