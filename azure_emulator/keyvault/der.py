"""A minimal reader of DER (X.690), strict where general parsers are lenient.

Owns the outer structure of PKCS#8 PrivateKeyInfo (RFC 5208). Exists because general
loaders also take PKCS#1 and SEC 1 structures, which the BYOK format forbids, and may
pass over bytes behind the structure. Must not interpret key numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

SEQUENCE, INTEGER, OCTET_STRING, OBJECT_ID, NULL = 0x30, 0x02, 0x04, 0x06, 0x05

RSA_ENCRYPTION = bytes.fromhex("2a864886f70d010101")
EC_PUBLIC_KEY = bytes.fromhex("2a8648ce3d0201")


class DerError(Exception):
    """Not the structure asked for; the text says where."""


class TrailingBytes(DerError):
    """Something follows the structure."""


@dataclass(frozen=True)
class Element:
    """One element and what follows it."""

    tag: int
    content: bytes
    rest: bytes


def read(raw: bytes) -> Element:
    """One element from the front; lengths must be in the shortest form, as DER demands."""
    if len(raw) < 2:
        raise DerError("the DER is cut short")
    tag, first = raw[0], raw[1]
    start, length = 2, first
    if first & 0x80:
        count = first & 0x7F
        if not 1 <= count <= 4 or len(raw) < 2 + count:
            raise DerError("a DER length is malformed")
        length = int.from_bytes(raw[2 : 2 + count], "big")
        if length < 0x80 or raw[2] == 0:
            raise DerError("a DER length is not in its shortest form")
        start += count
    if len(raw) < start + length:
        raise DerError("the DER is cut short")
    return Element(tag, raw[start : start + length], raw[start + length :])


def expect(raw: bytes, tag: int, what: str) -> Element:
    """One element that must have this tag."""
    element = read(raw)
    if element.tag != tag:
        raise DerError(f"{what} is missing")
    return element


def check_private_key_info(raw: bytes) -> str:
    """Check that ``raw`` is exactly one PrivateKeyInfo; return RSA or EC."""
    outer = expect(raw, SEQUENCE, "the outer SEQUENCE")
    if outer.rest:
        raise TrailingBytes(f"{len(outer.rest)} bytes follow the PKCS#8 structure")
    version = expect(outer.content, INTEGER, "the version of PrivateKeyInfo")
    if version.content != b"\x00":
        raise DerError("the version of PrivateKeyInfo is not 0")
    algorithm = expect(version.rest, SEQUENCE, "the algorithm identifier (is this PKCS#1 or SEC 1?)")
    name = expect(algorithm.content, OBJECT_ID, "the algorithm's object identifier")
    key = expect(algorithm.rest, OCTET_STRING, "the private key's OCTET STRING")
    inner = expect(key.content, SEQUENCE, "the inner private key")
    if inner.rest:
        raise TrailingBytes(f"{len(inner.rest)} bytes follow the private key inside the PKCS#8 structure")
    if name.content == RSA_ENCRYPTION:
        return "RSA"
    if name.content == EC_PUBLIC_KEY:
        expect(name.rest, OBJECT_ID, "the named curve")
        return "EC"
    raise DerError("the algorithm is neither RSA nor EC")
