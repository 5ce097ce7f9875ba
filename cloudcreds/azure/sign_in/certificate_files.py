"""Certificates to sign in with, as people upload them: PEM or PKCS#12 (PFX), with the private key. Stores nothing.

Runs in the web process, which seals the key at once. The password of a file is used here and forgotten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from django.utils.translation import gettext as _

from kmes.core.clock import now
from kmes.core.errors import InputError
from kmes.core.secret_types import SecretText

# A chain of certificates with its key has about 10 KB.
MAX_FILE_BYTES = 64 * 1024
MAX_PASSWORD = 256
# Entra accepts RSA keys alone (docs/azure.md#ways-to-sign-in).
MIN_BITS = 2048


@dataclass(frozen=True)
class CertificateFacts:
    """What is known of a certificate without its private key."""

    pem: str
    thumbprint: str
    thumbprint_sha256: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class UploadedCertificate:
    """A certificate with its private key in clear (PKCS#8 as PEM), on its way to be sealed."""

    facts: CertificateFacts
    private_key: SecretText


def read_facts(pem: str) -> CertificateFacts:
    """Return what a certificate in PEM says."""
    return _facts(x509.load_pem_x509_certificate(pem.encode()))


def read_certificate_file(content: bytes, *, password: SecretText) -> UploadedCertificate:
    """Return the certificate and the private key of a file.

    Raises:
        InputError: it can't be read, or can't be used to sign in (fields ``certificate_file``, ``certificate_password``).

    """
    if len(content) > MAX_FILE_BYTES:
        raise _unusable(_("The file is larger than a certificate with its key."))
    key, certificates = _read_pem(content, password) if b"-----BEGIN" in content else _read_pfx(content, password)
    if key is None:
        raise _unusable(
            _("The file holds no private key."),
            _("Upload the file that holds both, or have the certificate made here: its key then never leaves the HSM."),
        )
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < MIN_BITS:
        raise _unusable(
            _("Entra accepts certificates with RSA keys of at least %(bits)d bits only.") % {"bits": MIN_BITS}
        )
    public = key.public_key()
    certificate = next((one for one in certificates if one.public_key() == public), None)
    if certificate is None:
        raise _unusable(_("The file holds no certificate that belongs to its private key."))
    _check_validity(certificate)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return UploadedCertificate(_facts(certificate), SecretText(pem.decode()))


def _read_pem(content: bytes, password: SecretText) -> tuple[object | None, list[x509.Certificate]]:
    certificates = _pem_certificates(content)
    if re.search(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----", content) is None:
        return None, certificates
    is_encrypted = b"ENCRYPTED" in content
    if is_encrypted and not password:
        raise _wrong_password(_("The private key in the file is encrypted."), _("Type the password of the file."))
    try:
        key = serialization.load_pem_private_key(content, password.reveal().encode() if is_encrypted else None)
    except (ValueError, TypeError):
        if is_encrypted:
            raise _wrong_password(_("The password does not open the file."), _("Type the password again.")) from None
        raise _unusable(_("The private key in the file can't be read.")) from None
    return key, certificates


def _pem_certificates(content: bytes) -> list[x509.Certificate]:
    if b"-----BEGIN CERTIFICATE-----" not in content:
        return []
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise _unusable(_("A certificate in the file can't be read.")) from None


def _read_pfx(content: bytes, password: SecretText) -> tuple[object | None, list[x509.Certificate]]:
    # DER begins with the tag of a sequence; nothing else is worth a password.
    if not content.startswith(b"\x30"):
        raise _unusable(_("This is neither a PEM nor a PFX file."))
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(content, password.reveal().encode() or None)
    except ValueError as error:
        if "password" in str(error).lower():
            raise _wrong_password(_("The password does not open the file."), _("Type the password again.")) from None
        raise _unusable(_("This is neither a PEM nor a PFX file.")) from None
    return key, [*([certificate] if certificate else []), *others]


def _check_validity(certificate: x509.Certificate) -> None:
    if certificate.not_valid_after_utc <= now():
        raise _unusable(
            _("The certificate expired on %(date)s.") % {"date": f"{certificate.not_valid_after_utc:%Y-%m-%d}"}
        )
    if certificate.not_valid_before_utc > now() + timedelta(minutes=5):
        raise _unusable(
            _("The certificate is not valid before %(date)s.")
            % {"date": f"{certificate.not_valid_before_utc:%Y-%m-%d}"}
        )


def _facts(certificate: x509.Certificate) -> CertificateFacts:
    return CertificateFacts(
        pem=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        # What the portal shows, so that people can compare; no security rests on it.
        thumbprint=certificate.fingerprint(hashes.SHA1()).hex().upper(),
        thumbprint_sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _unusable(what: str, remedy: str = "") -> InputError:
    return InputError(
        what,
        remedy or _("Upload a PEM or PFX file with the certificate and its private key."),
        field="certificate_file",
    )


def _wrong_password(what: str, remedy: str) -> InputError:
    return InputError(what, remedy, field="certificate_password")
