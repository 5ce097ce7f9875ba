"""Files with a certificate and its key, as people have them: what is read, and what is said of the others."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from cloudcreds.azure.sign_in.certificate_files import read_certificate_file
from kmes.core.errors import InputError
from kmes.core.secret_types import SecretText
from tests.cloudcreds.certificates import (
    PASSWORD,
    hashes,
    key_pem_of,
    make_certificate,
    make_ec_key,
    make_key,
    pem_file,
    pem_of,
    pfx_file,
)


def read(content, password=""):
    return read_certificate_file(content, password=SecretText(password))


def refused(content, password=""):
    with pytest.raises(InputError) as refusal:
        read(content, password)
    assert PASSWORD not in str(refusal.value)
    return refusal.value


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (pem_file(), ""),
        (pem_file(), "needless"),
        (pem_file(password=PASSWORD), PASSWORD),
        (pfx_file(), PASSWORD),
        (pfx_file(password=""), ""),
        # Bag attributes, as openssl writes them between the blocks.
        (b"Bag Attributes\n    friendlyName: x\n" + pem_file(), ""),
        # The chain first, the certificate of the key after it.
        (pem_of(make_certificate(2)).encode() + pem_file(), ""),
    ],
)
def test_certificate_and_key_are_found_in_each_form(content, password):
    found = read(content, password)
    certificate = make_certificate()
    assert found.facts.thumbprint == certificate.fingerprint(hashes.SHA1()).hex().upper()
    assert found.facts.thumbprint_sha256 == certificate.fingerprint(hashes.SHA256()).hex()
    assert found.facts.not_after == certificate.not_valid_after_utc
    assert found.facts.pem == pem_of(certificate)
    assert found.private_key.reveal() == key_pem_of(make_key())
    assert "PRIVATE" not in found.facts.pem
    assert "PRIVATE" not in repr(found)


@pytest.mark.parametrize("content", [pem_file(password=PASSWORD), pfx_file()])
@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_missing_or_wrong_password_is_asked_for_at_its_field(content, password):
    assert refused(content, password).field == "certificate_password"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "neither a PEM nor a PFX"),
        (b"\x30\x82 nonsense", "neither a PEM nor a PFX"),
        (b"MZ" + b"\0" * 100, "neither a PEM nor a PFX"),
        (pem_of(make_certificate()).encode(), "no private key"),
        (key_pem_of(make_key()).encode(), "no certificate that belongs"),
        (key_pem_of(make_key(2)).encode() + pem_of(make_certificate()).encode(), "no certificate that belongs"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "can't be read"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "can't be read"),
        (pem_file(key=make_ec_key()), "RSA keys of at least 2048 bits"),
        (pem_file(days=-1, begin_days=-9), "expired on"),
        (pem_file(begin_days=3), "not valid before"),
        (pem_file() + b" " * 70000, "larger than a certificate"),
    ],
)
def test_what_can_not_be_used_is_said_at_the_file(content, said):
    error = refused(content)
    assert error.field == "certificate_file"
    assert said in error.what


def test_a_short_rsa_key_is_refused():
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - what is refused
    assert "2048 bits" in refused(pem_file(key=short)).what
