"""Certificates whose key was made in the device, and the assertions that it signs."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import ExtendedKeyUsageOID

from hsm.marks import digest
from kmes.core.clock import now
from kmes.core.errors import DeviceError
from tests.hsm.destinations import CLIENT, TENANT, verified

AUDIENCE = f"https://login.example/{TENANT}/oauth2/v2.0/token"


@pytest.fixture(autouse=True)
def _no_database(settings, db):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True


_made = {}


@pytest.fixture
def made(device):
    """A certificate of the process's device, made once: RSA keys take seconds."""
    if "made" not in _made:
        _made["made"] = device.make_certificate(common_name="production", valid_for=timedelta(days=90))
    return _made["made"]


def sign(device, made, *, audience=AUDIENCE, **changes):
    """Sign an assertion for the destination whose certificate this is."""
    facts = {"certificate": digest(made.pem), "certificate_key": digest(made.wrapped_private), **changes}
    destination = verified(device, **facts)
    return device.sign_assertion(destination, wrapped_private=made.wrapped_private, pem=made.pem, audience=audience)


def load(made):
    return x509.load_pem_x509_certificate(made.pem.encode())


def parts_of(assertion):
    """Header, claims, what was signed, and the signature."""
    header, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in assertion.reveal().split("."))
    signed = assertion.reveal().rpartition(".")[0].encode()
    return json.loads(header), json.loads(claims), signed, signature


def test_the_certificate_is_signed_by_its_own_key_and_lets_a_client_sign(made):
    certificate = load(made)
    certificate.verify_directly_issued_by(certificate)
    assert certificate.subject.rfc4514_string() == "CN=production"
    assert certificate.public_key().key_size == 3072
    assert timedelta(days=89) < certificate.not_valid_after_utc - now() < timedelta(days=91)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_private_key_comes_wrapped_and_never_in_clear(made):
    assert b"PRIVATE" not in made.pem.encode()
    modulus = load(made).public_key().public_numbers().n
    assert modulus.to_bytes(384) not in made.wrapped_private


def test_an_assertion_says_who_for_which_endpoint_and_for_ten_minutes(device, made):
    assertion = sign(device, made)
    header, claims, signed, signature = parts_of(assertion)
    certificate = load(made)
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
    assert header == {"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}
    assert claims["iss"] == claims["sub"] == CLIENT
    assert claims["aud"] == AUDIENCE
    assert claims["exp"] - claims["nbf"] == 600
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    certificate.public_key().verify(signature, signed, scheme, hashes.SHA256())


def test_no_two_assertions_have_the_same_id(device, made):
    ids = {parts_of(sign(device, made))[1]["jti"] for _ in range(3)}
    assert len(ids) == 3


def test_an_assertion_shows_itself_to_nobody(device, made):
    assertion = sign(device, made)
    assert str(assertion) == repr(assertion) == "***"


def test_a_long_name_is_shortened_and_the_key_signs_for_no_other_certificate(device, made):
    other = device.make_certificate(common_name="n" * 128, valid_for=timedelta(days=1))
    assert load(other).subject.rfc4514_string() == "CN=" + "n" * 64
    with pytest.raises(DeviceError) as refusal:
        sign(device, replace(made, wrapped_private=other.wrapped_private))
    assert refusal.value.code == "wrapped_key_mismatch"


@pytest.mark.parametrize(
    ("changes", "audience"),
    [
        ({"certificate": "0" * 64}, AUDIENCE),
        ({"certificate_key": "0" * 64}, AUDIENCE),
        ({}, AUDIENCE.replace("1111", "9999")),
        ({"authority_url": "https://own.example"}, AUDIENCE),
        ({"authority_url": "https://login.exam"}, AUDIENCE),
    ],
)
def test_it_signs_for_its_own_destination_only(changes, audience, device, made):
    with pytest.raises(DeviceError) as refusal:
        sign(device, made, audience=audience, **changes)
    assert refusal.value.code == "not_of_destination"


def test_an_own_authority_and_a_tenant_named_by_its_domain_are_signed_for(device, made):
    assert sign(device, made, authority_url="https://login.example/")
    assert sign(device, made, tenant_id="contoso.example")
