"""The power-on self-test: known answers and conformance, once per process and on request."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from django.utils.translation import gettext as _
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import PKCS11Error

from hsm import byok
from hsm.major_keys import MajorKeys
from hsm.signatures import to_der
from hsm.types import SelfTestResult

# FIPS 197, appendix C.3: AES-256.
AES_KEY = bytes(range(32))
AES_PLAIN = bytes.fromhex("00112233445566778899aabbccddeeff")
AES_CIPHER = bytes.fromhex("8ea2b7ca516745bfeafc49904b496089")


def run_tests(session: Any, keys: MajorKeys, *, software: bool) -> list[SelfTestResult]:
    """Run every test. A test that fails or breaks is a result, not an exception."""
    parts: list[tuple[str, Callable[[], str]]] = [
        (_("Random numbers"), lambda: _random(session)),
        (_("AES known answer"), lambda: _aes(session)),
        (_("RSA-OAEP round trip"), lambda: _oaep(keys)),
        (_("ECDSA sign and verify"), lambda: _ecdsa(keys)),
        (_("AES key wrap (RFC 5649)"), lambda: _kwp(session, software=software)),
    ]
    results = []
    for name, part in parts:
        try:
            results.append(SelfTestResult(name, ok=True, detail=part()))
        except Exception as error:  # noqa: BLE001 - any error of a broken device is a failed test
            results.append(SelfTestResult(name, ok=False, detail=str(error) or type(error).__name__))
    return results


def _random(session: Any) -> str:
    first, second = bytes(session.generate_random(256)), bytes(session.generate_random(256))
    if first == second or len(set(first)) < 8:
        raise ValueError(_("two draws are alike"))
    return _("two draws of 256 bits differ")


def _aes(session: Any) -> str:
    handle = session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.VALUE: AES_KEY,
            Attribute.TOKEN: False,
            Attribute.ENCRYPT: True,
        }
    )
    try:
        if bytes(handle.encrypt(AES_PLAIN, mechanism=Mechanism.AES_ECB)) != AES_CIPHER:
            raise ValueError(_("the answer differs from FIPS 197"))
    finally:
        handle.destroy()
    return _("the answer is that of FIPS 197")


def _oaep(keys: MajorKeys) -> str:
    public = serialization.load_der_public_key(keys.mfk_public_spki)
    if not isinstance(public, rsa.RSAPublicKey):
        raise TypeError(_("the MFK is not an RSA key"))
    message = os.urandom(32)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    clear = keys.mfk_private.decrypt(
        public.encrypt(message, oaep), mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=byok.OAEP_SHA1
    )
    if bytes(clear) != message:
        raise ValueError(_("the decrypted message differs"))
    return _("what was encrypted outside was decrypted inside")


def _ecdsa(keys: MajorKeys) -> str:
    check_sentinel(keys)
    return _("the sentinel's signature verifies")


def check_sentinel(keys: MajorKeys) -> None:
    """Let the sentinel sign a fresh challenge and verify the signature outside the device.

    Raises:
        ValueError: the signature does not verify.

    """
    public = serialization.load_der_public_key(keys.sentinel_public_spki)
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise TypeError(_("the sentinel is not an EC key"))
    challenge = os.urandom(32)
    raw = bytes(keys.sentinel_private.sign(challenge, mechanism=Mechanism.ECDSA))
    try:
        public.verify(to_der(raw), challenge, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except InvalidSignature as error:
        raise ValueError(_("the signature does not verify")) from error


def is_working(keys: MajorKeys) -> bool:
    """Return whether the sentinel signs; if so, a failure just met was not the device's."""
    try:
        check_sentinel(keys)
    except (PKCS11Error, ValueError):
        return False
    return True


def _kwp(session: Any, *, software: bool) -> str:
    if byok.kwp_is_exact(session):
        return _("exact: the device's own wrap is used")
    if software:
        return _("the software token pads the key before the wrap: repaired")
    raise ValueError(_("the device pads the key before the wrap"))
