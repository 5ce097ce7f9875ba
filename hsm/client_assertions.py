"""Client assertions: signed tokens by which an application proves itself at a token endpoint without a secret.

Form: JSON Web Token in compact form (RFC 7519, RFC 7523 section 3), signed by PS256 (RFC 7518 section 3.5), which names the
certificate by its SHA-256 thumbprint (RFC 7515 section 4.1.8). Builds the text only; who signs it is handed in.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from kmes.core.clock import now
from kmes.core.secret_types import SecretText

# Each is made for one request; the time allows for clocks that differ (docs/azure.md#ways-to-sign-in).
LIFETIME_SECONDS = 600
# What PS256 means: the salt is as long as the hash.
PADDING = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)


@dataclass(frozen=True)
class AssertionRequest:
    """Whose assertion, for which token endpoint."""

    client_id: str
    audience: str


def new_assertion(
    request: AssertionRequest, certificate: x509.Certificate, sign: Callable[[bytes], bytes]
) -> SecretText:
    """Return a new assertion; ``sign`` makes the PS256 signature with the certificate's private key."""
    issued_at = int(now().timestamp())
    header = {"alg": "PS256", "typ": "JWT", "x5t#S256": _encode(certificate.fingerprint(hashes.SHA256()))}
    claims = {
        "aud": request.audience,
        "iss": request.client_id,
        "sub": request.client_id,
        "jti": str(uuid.uuid4()),
        "iat": issued_at,
        "nbf": issued_at,
        "exp": issued_at + LIFETIME_SECONDS,
    }
    signed = f"{_encode_json(header)}.{_encode_json(claims)}"
    return SecretText(f"{signed}.{_encode(sign(signed.encode()))}")


def _encode_json(value: Mapping[str, object]) -> str:
    return _encode(json.dumps(value, separators=(",", ":")).encode())


def _encode(raw: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
