"""What a push costs at least: the calls that the BYOK specification needs, one after the other.

No Django, no Celery, no log, no look before and no check after. Makes its keys first, then prints
the seconds from the first call to the last. The bench runs it beside the product, and the same by the SDK
(``tests/devtools/bare_sdk.py``).
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kmes.devtools.temporary_instance import CLIENT, CLIENT_SECRET, TENANT
from kmes.devtools.vault_client import VaultClient, decode, encode

# The size the product chooses for P-256, so that both wrap under a KEK of the same strength.
KEK_BITS = 3072


def make_keys(count: int) -> list[bytes]:
    """Return new P-256 private keys as PKCS#8."""
    made = [ec.generate_private_key(ec.SECP256R1()) for _ in range(count)]
    return [key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) for key in made]


def transfer_blob(pkcs8: bytes, kek: rsa.RSAPublicKey, kek_id: str) -> str:
    """Return ``key_hsm`` of an import: the transfer blob of the BYOK specification, in base64url."""
    one_time = secrets.token_bytes(32)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    wrapped = kek.encrypt(one_time, oaep) + keywrap.aes_key_wrap_with_padding(one_time, pkcs8)
    blob = {
        "schema_version": "1.0.0",
        "header": {"kid": kek_id, "alg": "dir", "enc": "CKM_RSA_AES_KEY_WRAP"},
        "ciphertext": encode(wrapped),
        "generator": "bare push",
    }
    return encode(json.dumps(blob).encode())


def push(vault: VaultClient, keys: list[bytes], name: str) -> None:
    """Make one KEK, import each key as a version of ``name``, delete and purge the KEK.

    Raises VaultError at the first call that is refused.
    """
    kek_name = f"{name}-kek"
    body = {"kty": "RSA-HSM", "key_size": KEK_BITS, "key_ops": ["import"]}
    made = vault.call("POST", f"/keys/{kek_name}/create", body)["key"]
    numbers = rsa.RSAPublicNumbers(int.from_bytes(decode(made["e"])), int.from_bytes(decode(made["n"])))
    kek = numbers.public_key()
    for pkcs8 in keys:
        key = {"kty": "EC-HSM", "crv": "P-256", "key_ops": ["sign", "verify"]}
        key_hsm = transfer_blob(pkcs8, kek, made["kid"])
        vault.call("PUT", f"/keys/{name}", {"key": {**key, "key_hsm": key_hsm}, "Hsm": True})
    vault.call("DELETE", f"/keys/{kek_name}")
    vault.call("DELETE", f"/deletedkeys/{kek_name}")


def main() -> int:
    """Push once as the command line says, and print the seconds it took."""
    parser = argparse.ArgumentParser(description="Push P-256 keys with nothing but the calls it needs.")
    parser.add_argument("vault")
    parser.add_argument("authority")
    parser.add_argument("--ca-file", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20)
    given = parser.parse_args()
    keys = make_keys(given.count)
    vault = VaultClient(given.vault, ca_file=given.ca_file)
    # Before the clock: a worker that runs for days has its token too.
    vault.sign_in(given.authority, tenant=TENANT, client=CLIENT, secret=CLIENT_SECRET)
    started = time.perf_counter()
    push(vault, keys, f"bare-{os.getpid()}")
    print(f"{time.perf_counter() - started:.4f}")
    vault.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
