"""CKM_RSA_AES_KEY_WRAP, composed of its two halves, as Azure's BYOK specification allows.

A one-time AES-256 key is wrapped under the KEK (RSA-OAEP, SHA-1, MGF1-SHA-1, empty label), the
private key's PKCS#8 under the AES key (RFC 5649); the ciphertext is both, one behind the other.

SoftHSM before 2.7 pads the PKCS#8 with zeros to a multiple of 8 before the padded wrap, so what
arrives is not the exact DER. A test (``kwp_is_exact``) finds whether a device does so; its version is not
trusted. The wrap of a software token is repaired here; a hardware device that pads is refused.
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives import keywrap
from django.utils.translation import gettext as _
from pkcs11 import MGF, Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from hsm.keys import CURVE_NAMES, PRIVATE_TEMPLATE
from hsm.types import KeySpec
from kmes.core.errors import DeviceError

OAEP_SHA1 = (Mechanism.SHA_1, MGF.SHA1, None)
AES_BYTES = 32


def kwp_is_exact(session: Any) -> bool:
    """Test the device's AES_KEY_WRAP_PAD on a temporary P-256 key with a known wrapping key.

    P-256 always shows the fault, because its PKCS#8 has 67 bytes in such tokens.
    """
    secret, aes = _one_time_key(session)
    parameters = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters(CURVE_NAMES[KeySpec.P_256])}, local=True
    )
    public, private = parameters.generate_keypair(store=False, private_template=PRIVATE_TEMPLATE)
    try:
        der = keywrap.aes_key_unwrap_with_padding(
            secret, bytes(aes.wrap_key(private, mechanism=Mechanism.AES_KEY_WRAP_PAD))
        )
        return len(der) == der_length(der)
    finally:
        for handle in (public, private, aes):
            handle.destroy()


def der_length(der: bytes) -> int:
    """Return how long the outermost DER element is, its header included (X.690, 8.1.3).

    Raises:
        DeviceError: it is not a SEQUENCE with a definite length.

    """
    if len(der) < 2 or der[0] != 0x30 or der[1] == 0x80:
        raise DeviceError(_("The device wrapped something that is not a PKCS#8 key."), code="not_conformant")
    if der[1] < 0x80:
        return 2 + der[1]
    octets = der[1] & 0x7F
    return 2 + octets + int.from_bytes(der[2 : 2 + octets])


def _one_time_key(session: Any) -> tuple[bytes, Any]:
    """Make an AES-256 key from the device's random numbers, known to us too."""
    secret = bytes(session.generate_random(AES_BYTES * 8))
    handle = session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.VALUE: secret,
            Attribute.TOKEN: False,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: True,
            Attribute.WRAP: True,
        }
    )
    return secret, handle


def _kek(session: Any, modulus: int, exponent: int) -> Any:
    return session.create_object(
        {
            Attribute.CLASS: ObjectClass.PUBLIC_KEY,
            Attribute.KEY_TYPE: KeyType.RSA,
            Attribute.MODULUS: modulus.to_bytes((modulus.bit_length() + 7) // 8),
            Attribute.PUBLIC_EXPONENT: exponent.to_bytes((exponent.bit_length() + 7) // 8),
            Attribute.TOKEN: False,
            Attribute.WRAP: True,
        }
    )


def wrap(session: Any, private: Any, *, modulus: int, exponent: int, exact: bool, software: bool) -> bytes:
    """Return ``private`` wrapped under the KEK.

    Args:
        session: the device.
        private: the key to wrap, a session object.
        modulus: of the KEK's public half.
        exponent: of the KEK's public half.
        exact: whether the device's padded wrap was found exact.
        software: whether the token is a software one, where repair is allowed.

    Raises:
        DeviceError: the device's wrap is not exact and it is hardware (code ``not_conformant``).

    """
    kek = _kek(session, modulus, exponent)
    aes = secret = None
    try:
        if exact:
            aes = session.generate_key(
                KeyType.AES,
                AES_BYTES * 8,
                store=False,
                template={
                    Attribute.SENSITIVE: True,
                    Attribute.EXTRACTABLE: True,
                    Attribute.WRAP: True,
                },
            )
        elif software:
            secret, aes = _one_time_key(session)
        else:
            raise DeviceError(
                _("The device's AES key wrap does not conform to RFC 5649, so Azure could not read the key."),
                _("Update the device's firmware, or use another device."),
                code="not_conformant",
            )
        wrapped_aes = bytes(kek.wrap_key(aes, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=OAEP_SHA1))
        wrapped_key = bytes(aes.wrap_key(private, mechanism=Mechanism.AES_KEY_WRAP_PAD))
    finally:
        kek.destroy()
        if aes is not None:
            aes.destroy()
    return wrapped_aes + (wrapped_key if secret is None else repair(secret, wrapped_key))


def repair(secret: bytes, wrapped_key: bytes) -> bytes:
    """Wrap again without the zeros that the token put behind the DER.

    The clear PKCS#8 is in this process's memory for a moment. A software token keeps its keys in the same
    memory, so nothing new is exposed.

    Raises:
        DeviceError: what follows the DER is not the known padding (code ``not_conformant``).

    """
    clear = bytearray(keywrap.aes_key_unwrap_with_padding(secret, wrapped_key))
    try:
        length = der_length(bytes(clear[:8]))
        tail = clear[length:]
        if length > len(clear) or len(tail) > 7 or any(tail):
            raise DeviceError(_("The device wrapped a key with unknown bytes behind it."), code="not_conformant")
        return keywrap.aes_key_wrap_with_padding(secret, bytes(clear[:length]))
    finally:
        for index in range(len(clear)):
            clear[index] = 0
