"""The certificate authority of the stand-in and the server certificate it signs.

Owns ``ca.pem`` and the TLS files beside it. The CA is made once and kept, so that
clients may go on trusting it; the server certificate is made anew at each start,
which keeps its names and dates right. Must not be used for tokens or keys of a vault.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from azure_emulator import storage

OWN_NAMES = (
    "localhost",
    "127.0.0.1",
    "::1",
)


@dataclass(frozen=True)
class TlsFiles:
    """Where the TLS files are."""

    ca: Path
    certificate: Path
    key: Path


def subject(common_name: str) -> x509.Name:
    """A name with nothing but a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def general_name(text: str) -> x509.GeneralName:
    """A host name or an address, as certificates tell them apart."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """What a certificate's key may be used for."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def builder(
    name: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    """The parts common to both certificates."""
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=days))
    )


def make_authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """A certificate that signs others."""
    # Python 3.13 verifies with VERIFY_X509_STRICT: basic constraints and key usage must be
    # critical, and both key identifiers present (RFC 5280 4.2.1).
    name = subject("azure_emulator local CA")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        builder(name, name, key.public_key(), days=3650)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )


def make_server(
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    names: list[str],
) -> x509.Certificate:
    """The certificate of all listeners."""
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        builder(subject("azure_emulator"), authority.subject, key.public_key(), days=397)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The stored form of a TLS key."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_or_make_authority(directory: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The kept authority, or a new one when there is none or it has expired."""
    certificate_path, key_path = directory / "ca.pem", directory / "ca-key.pem"
    if certificate_path.exists() and key_path.exists():
        try:
            certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
            key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        except ValueError as error:
            raise storage.BrokenState(f"The certificate authority in {directory} is damaged; remove ca.pem.") from error
        if isinstance(key, ec.EllipticCurvePrivateKey) and certificate.not_valid_after_utc > dt.datetime.now(dt.UTC):
            return certificate, key
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = make_authority(key)
    storage.write_bytes(key_path, pem(key))
    storage.write_bytes(certificate_path, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return certificate, key


def prepare(directory: Path, names: tuple[str, ...]) -> TlsFiles:
    """Make all TLS files for these names and this machine's own; ``ca.pem`` is complete when this returns."""
    authority, authority_key = load_or_make_authority(directory)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = make_server(key, authority, authority_key, list(dict.fromkeys((*OWN_NAMES, *names))))
    files = TlsFiles(directory / "ca.pem", directory / "server.pem", directory / "server-key.pem")
    storage.write_bytes(files.key, pem(key))
    storage.write_bytes(files.certificate, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return files
