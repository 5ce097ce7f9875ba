"""Certificates to sign in with, made by the tests: as objects, and as the files that people upload."""

from __future__ import annotations

import datetime as dt
import functools

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

PASSWORD = "pfx-password-of-the-tests"


@functools.cache
def _key(number):
    return rsa.generate_private_key(65537, 2048)


def make_key(number=1):
    """The RSA key of this number; always the same."""
    return _key(number)


@functools.cache
def make_ec_key():
    return ec.generate_private_key(ec.SECP256R1())


def make_certificate(number=1, *, days=40, begin_days=-1, key=None):
    """The certificate of this number and validity; always the same."""
    return _certificate(number, days, begin_days, key or make_key(number))


@functools.cache
def _certificate(number, days, begin_days, key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"client {number}")])
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=begin_days))
        .not_valid_after(now + dt.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )


def pem_of(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem_of(key, *, password=""):
    """The private key as PKCS#8, encrypted when there is a password."""
    encryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def pem_file(number=1, *, password="", **changes):
    """A file with private key and certificate."""
    key = changes.get("key") or make_key(number)
    return (key_pem_of(key, password=password) + pem_of(make_certificate(number, **changes))).encode()


def pfx_file(number=1, *, password=PASSWORD, **changes):
    """The same as PKCS#12."""
    key = changes.get("key") or make_key(number)
    encryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password.encode())
    return pkcs12.serialize_key_and_certificates(b"client", key, make_certificate(number, **changes), None, encryption)
