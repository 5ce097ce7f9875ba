"""Keys as session objects: generated, wrapped under the PMK, and unwrapped for one use.

Private keys never leave the device in clear: they are SENSITIVE, and EXTRACTABLE only so that they
can be wrapped. Key wrap has no associated data, so each unwrapped key is compared with the public half
of its row.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from django.utils.translation import gettext as _
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11 import exceptions as p11
from pkcs11.constants import DEFAULT
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from hsm.major_keys import spki_of_rsa
from hsm.signatures import to_der
from hsm.types import GeneratedKey, KeySpec
from kmes.core.errors import DeviceError

CURVE_NAMES = {
    KeySpec.P_256: "secp256r1",
    KeySpec.P_384: "secp384r1",
    KeySpec.P_521: "secp521r1",
    KeySpec.P_256K: "secp256k1",
}
PRIVATE_TEMPLATE = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: True,
    Attribute.SIGN: True,
    Attribute.TOKEN: False,
}
# Without these SoftHSM answers CKR_ATTRIBUTE_TYPE_INVALID: the binding's defaults name
# attributes that a private key doesn't have.
UNWRAP_TEMPLATE = {
    **PRIVATE_TEMPLATE,
    Attribute.ENCRYPT: DEFAULT,
    Attribute.VERIFY: DEFAULT,
    Attribute.WRAP: DEFAULT,
}


def generate(session: Any, pmk: Any, spec: KeySpec) -> GeneratedKey:
    """Make a key pair as session objects and return it with its private half wrapped under the PMK."""
    if spec.is_rsa:
        public, private = session.generate_keypair(
            KeyType.RSA, spec.bits, store=False, private_template=PRIVATE_TEMPLATE
        )
        spki = spki_of_rsa(public)
    else:
        parameters = session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters(CURVE_NAMES[spec])}, local=True
        )
        public, private = parameters.generate_keypair(store=False, private_template=PRIVATE_TEMPLATE)
        spki = encode_ec_public_key(public)
    try:
        wrapped = bytes(pmk.wrap_key(private, mechanism=Mechanism.AES_KEY_WRAP_PAD))
    finally:
        public.destroy()
        private.destroy()
    return GeneratedKey(public_spki=canonical_spki(spki), wrapped_private=wrapped)


def canonical_spki(spki: bytes) -> bytes:
    """Return a SubjectPublicKeyInfo as everybody else encodes it, so that hashes of it compare."""
    return serialization.load_der_public_key(spki).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@contextmanager
def unwrapped(
    pmk: Any, spec: KeySpec, wrapped: bytes, public_spki: bytes, *, is_working: Callable[[], bool]
) -> Iterator[Any]:
    """Unwrap a private key as a session object that exists while the body runs.

    SoftHSM reports damaged input and a removed token by the same CKR_GENERAL_ERROR. ``is_working`` asks
    the device, so that a damaged row is not reported as a device failure.

    Raises:
        DeviceError: what was unwrapped is not the private half of ``public_spki``, or can't be
            unwrapped under this PMK (code ``wrapped_key_mismatch``).

    """
    try:
        private = pmk.unwrap_key(
            ObjectClass.PRIVATE_KEY,
            KeyType.RSA if spec.is_rsa else KeyType.EC,
            wrapped,
            mechanism=Mechanism.AES_KEY_WRAP_PAD,
            store=False,
            template=UNWRAP_TEMPLATE,
        )
    except (p11.EncryptedDataInvalid, p11.WrappedKeyInvalid, p11.WrappedKeyLenRange, p11.ArgumentsBad) as error:
        raise _mismatch() from error
    except p11.GeneralError as error:
        if not is_working():
            raise
        raise _mismatch() from error
    try:
        _check_belongs(private, spec, public_spki)
        yield private
    finally:
        private.destroy()


def _mismatch() -> DeviceError:
    return DeviceError(
        _("The wrapped private key does not belong to this key's public half, or to this device's PMK."),
        _("The row was changed, or the database belongs to another device. Restore it from a backup."),
        code="wrapped_key_mismatch",
    )


def _check_belongs(private: Any, spec: KeySpec, public_spki: bytes) -> None:
    """Compare the moduli (RSA), or let the key sign a challenge (EC: the object has no public point)."""
    try:
        public = serialization.load_der_public_key(public_spki)
    except ValueError as error:
        raise _mismatch() from error
    if spec.is_rsa:
        modulus = int.from_bytes(private[Attribute.MODULUS])
        if not isinstance(public, rsa.RSAPublicKey) or public.public_numbers().n != modulus:
            raise _mismatch()
        return
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise _mismatch()
    digest = hashlib.sha256(os.urandom(32)).digest()
    raw = bytes(private.sign(digest, mechanism=Mechanism.ECDSA))
    try:
        public.verify(to_der(raw), digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except InvalidSignature as error:
        raise _mismatch() from error
