"""Certificates whose private key is made in the device and signs two things only: its certificate, and client assertions.

The private key is kept as every key of the console is: wrapped under the PMK (``hsm.keys``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.utils.translation import gettext as _
from pkcs11 import MGF, Mechanism

from hsm import keys
from hsm.client_assertions import PADDING, AssertionRequest, new_assertion
from hsm.types import DeviceCertificate, KeySpec
from kmes.core.clock import now
from kmes.core.errors import DeviceError
from kmes.core.secret_types import SecretText

KEY_SPEC = KeySpec.RSA_3072
# X.520's upper bound of a common name.
MAX_COMMON_NAME = 64
# Clocks of verifiers may be behind by some minutes.
BACKDATED = timedelta(minutes=5)


def make_certificate(
    session: Any, pmk: Any, *, common_name: str, valid_for: timedelta, is_working: Callable[[], bool]
) -> DeviceCertificate:
    """Make a key in the device and a certificate that the key itself signs.

    Raises:
        DeviceError: the device's signature does not verify (code ``device_failed``).

    """
    made = keys.generate(session, pmk, KEY_SPEC)
    with keys.unwrapped(pmk, KEY_SPEC, made.wrapped_private, made.public_spki, is_working=is_working) as private:
        certificate = _self_signed(private, made.public_spki, common_name=common_name, valid_for=valid_for)
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return DeviceCertificate(pem=pem, wrapped_private=made.wrapped_private)


def sign_assertion(
    pmk: Any, *, wrapped_private: bytes, pem: str, request: AssertionRequest, is_working: Callable[[], bool]
) -> SecretText:
    """Return an assertion signed in the device by the key of a certificate that ``make_certificate`` made.

    Raises:
        DeviceError: the wrapped key is not that of the certificate (code ``wrapped_key_mismatch``), or its
            signature does not verify (``device_failed``).

    """
    certificate = x509.load_pem_x509_certificate(pem.encode())
    public = certificate.public_key()
    if not isinstance(public, rsa.RSAPublicKey):
        raise _signs_wrongly()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    with keys.unwrapped(pmk, KEY_SPEC, wrapped_private, spki, is_working=is_working) as private:

        def sign(text: bytes) -> bytes:
            parameters = (Mechanism.SHA256, MGF.SHA256, hashes.SHA256.digest_size)
            signature = bytes(private.sign(text, mechanism=Mechanism.SHA256_RSA_PKCS_PSS, mechanism_param=parameters))
            try:
                public.verify(signature, text, PADDING, hashes.SHA256())
            except InvalidSignature as error:
                raise _signs_wrongly() from error
            return signature

        return new_assertion(request, certificate, sign)


def _self_signed(private: Any, public_spki: bytes, *, common_name: str, valid_for: timedelta) -> x509.Certificate:
    """Return a certificate for signatures by a client (RFC 5280)."""
    public = serialization.load_der_public_key(public_spki)
    if not isinstance(public, rsa.RSAPublicKey):
        raise _signs_wrongly()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:MAX_COMMON_NAME])])
    begin = now()
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - BACKDATED)
        .not_valid_after(begin + valid_for)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(_KeyInDevice(private, public), hashes.SHA256())
    )
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, ValueError) as error:
        raise _signs_wrongly() from error
    return certificate


class _KeyInDevice(rsa.RSAPrivateKey):
    """A private key that stays in the device, in the form in which the certificate builder takes keys."""

    def __init__(self, handle: Any, public: rsa.RSAPublicKey) -> None:
        self._handle, self._public = handle, public

    def sign(self, data: Any, padding_: Any, algorithm: Any) -> bytes:
        """Sign by RSASSA-PKCS1-v1_5 with SHA-256, which every reader of certificates knows."""
        if not isinstance(padding_, padding.PKCS1v15) or not isinstance(algorithm, hashes.SHA256):
            self._refuse()
        return bytes(self._handle.sign(bytes(data), mechanism=Mechanism.SHA256_RSA_PKCS))

    def public_key(self) -> rsa.RSAPublicKey:
        """Return the public half."""
        return self._public

    @property
    def key_size(self) -> int:
        """Return the length of the modulus in bits."""
        return self._public.key_size

    def decrypt(self, ciphertext: bytes, padding: Any) -> bytes:  # noqa: ARG002 - the interface's signature
        """Refuse: the key only signs."""
        self._refuse()

    def private_numbers(self) -> rsa.RSAPrivateNumbers:
        """Refuse: they never leave the device."""
        self._refuse()

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> bytes:  # noqa: A002, ARG002 - the interface's signature
        """Refuse: they never leave the device."""
        self._refuse()

    def __copy__(self) -> _KeyInDevice:
        return self

    def __deepcopy__(self, memo: Any) -> _KeyInDevice:
        return self

    @staticmethod
    def _refuse() -> NoReturn:
        raise NotImplementedError("a key in the device signs certificates and nothing else")


def _signs_wrongly() -> DeviceError:
    return DeviceError(_("The device's key signs wrongly."), code="device_failed")
