"""What the SDK returns becomes neutral; a public half that can't be compared is empty, and never an error."""

from __future__ import annotations

import pytest
from azure.keyvault.keys import KeyVaultKey

from cloudcreds.azure import convert

KID = "https://kv.vault.azure.net/keys/payments/0123456789abcdef0123456789abcdef"
# The generator of each curve is a point on it.
P256 = {
    "x": bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
    "y": bytes.fromhex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
}
SECP256K1 = {
    "x": bytes.fromhex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
    "y": bytes.fromhex("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"),
}


def public_half(**members):
    return convert.key(KeyVaultKey(KID, jwk={"kid": KID, **members})).public_spki


@pytest.mark.parametrize(
    "members",
    [
        {"kty": "AKP", "pub": b"\x01"},
        {"kty": "AKP-HSM", "pub": b"\x01"},
        {"kty": "OKP-HSM", "crv": "Ed25519", "x": b"\x01" * 32},
        {"kty": "OKP-HSM", "crv": "X25519"},
        {"kty": "EC-HSM", "crv": "brainpoolP256r1", **P256},
        {"kty": "EC-HSM", "crv": "P-256", "x": P256["x"]},
        {"kty": "EC-HSM", "crv": "P-384", **P256},
        {"kty": "EC-HSM", **P256},
        {"kty": "RSA-HSM", "n": b"\x01", "e": b"\x01"},
        {"kty": "RSA-HSM", "n": b"\xff" * 256},
        {"kty": "RSA-HSM"},
        {"kty": "oct-HSM"},
        {"kty": "Frobnicated"},
        {},
    ],
    ids=str,
)
def test_a_key_that_cannot_be_compared_has_an_empty_public_half(members):
    assert public_half(**members) == b""


@pytest.mark.parametrize("curve", ["P-256K", "SECP256K1"])
def test_a_curve_is_known_by_its_old_name_too(curve):
    assert public_half(kty="EC-HSM", crv=curve, **SECP256K1) == public_half(kty="EC-HSM", crv="P-256K", **SECP256K1)
    assert public_half(kty="EC-HSM", crv=curve, **SECP256K1)
