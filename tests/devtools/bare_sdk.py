"""The bench's bare script: a push by the Azure SDK alone, one call after the other.

Only what the BYOK specification needs: one KEK, a wrap and an import for each key, the KEK deleted
and purged. No Django, no Celery, no log, no device (its wraps cost next to nothing). It stands with
the tests because of the product only ``cloudcreds.azure`` may import the SDK.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time

from azure.core.exceptions import ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import JsonWebKey, KeyClient
from cryptography.hazmat.primitives.asymmetric import rsa

from kmes.devtools.bare_push import KEK_BITS, make_keys, transfer_blob
from kmes.devtools.temporary_instance import CLIENT, CLIENT_SECRET, TENANT
from kmes.devtools.vault_client import decode


def push(client: KeyClient, keys: list[bytes], name: str) -> None:
    """Make one KEK, import each key as a version of ``name``, delete and purge the KEK."""
    kek_name = f"{name}-kek"
    kek = client.create_rsa_key(kek_name, size=KEK_BITS, hardware_protected=True, key_operations=["import"])
    public = rsa.RSAPublicNumbers(int.from_bytes(kek.key.e), int.from_bytes(kek.key.n)).public_key()
    for pkcs8 in keys:
        blob = decode(transfer_blob(pkcs8, public, kek.id))
        key = JsonWebKey(kty="EC-HSM", crv="P-256", key_ops=["sign", "verify"], t=blob)
        client.import_key(name, key, hardware_protected=True)
    client.begin_delete_key(kek_name).wait()
    client.purge_deleted_key(kek_name)


def main() -> None:
    """Push once as the command line says, and print the seconds it took."""
    parser = argparse.ArgumentParser(description="Push P-256 keys by the Azure SDK alone.")
    parser.add_argument("vault")
    parser.add_argument("authority")
    parser.add_argument("--ca-file", required=True)
    parser.add_argument("--count", type=int, default=20)
    given = parser.parse_args()
    keys = make_keys(given.count)
    credential = ClientSecretCredential(
        TENANT,
        CLIENT,
        CLIENT_SECRET,
        authority=given.authority,
        disable_instance_discovery=True,
        connection_verify=given.ca_file,
    )
    client = KeyClient(given.vault, credential, connection_verify=given.ca_file, verify_challenge_resource=False)
    # Before the clock: a worker that runs for days has its token and its connection too.
    with contextlib.suppress(ResourceNotFoundError):
        client.get_key("nothing-here")
    started = time.perf_counter()
    push(client, keys, f"sdk-{os.getpid()}")
    print(f"{time.perf_counter() - started:.4f}")


if __name__ == "__main__":
    main()
