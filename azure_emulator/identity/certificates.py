"""Client certificates: reading them and their thumbprints.

Owns PEM and thumbprints as Microsoft Entra uses them. Must not check assertions.
"""

from __future__ import annotations

import base64
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa


class BadCertificate(Exception):
    """Not a certificate that can be registered; the text says why."""


def load_certificate(pem: str) -> x509.Certificate:
    """Read one certificate with an RSA key; Entra takes no other for client assertions."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise BadCertificate("A certificate is not PEM.") from error
    if not isinstance(certificate.public_key(), rsa.RSAPublicKey):
        raise BadCertificate("A client certificate must have an RSA key.")
    return certificate


def check_certificates(pems: list[str]) -> list[str]:
    """Check each certificate and return them unchanged."""
    for pem in pems:
        load_certificate(pem)
    return pems


def thumbprint(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm) -> str:
    """The thumbprint as the headers ``x5t`` and ``x5t#S256`` carry it (RFC 7515 section 4.1.7)."""
    return base64.urlsafe_b64encode(certificate.fingerprint(algorithm)).rstrip(b"=").decode()


def describe_certificate(pem: str) -> dict[str, Any]:
    """What the control API shows of a certificate."""
    certificate = load_certificate(pem)
    return {
        "x5t": thumbprint(certificate, hashes.SHA1()),
        "x5t#S256": thumbprint(certificate, hashes.SHA256()),
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
    }
