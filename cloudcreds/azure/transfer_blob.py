"""The key transfer blob: the JSON file that carries a wrapped key into a vault.

Its form is fixed by docs/azure.md#byok; ``CKM_RSA_AES_KEY_WRAP`` names the wrap that the device layer
composes. The SDK encodes the whole file once more, so raw bytes are returned.
"""

from __future__ import annotations

import base64
import json

GENERATOR = "KMES console 0.1; PKCS#11 device"


def build(kid: str, ciphertext: bytes) -> bytes:
    """Return the ``.byok`` file for a ciphertext wrapped under the KEK ``kid`` (with its version)."""
    return json.dumps(
        {
            "schema_version": "1.0.0",
            "header": {"kid": kid, "alg": "dir", "enc": "CKM_RSA_AES_KEY_WRAP"},
            "ciphertext": base64.urlsafe_b64encode(ciphertext).rstrip(b"=").decode(),
            "generator": GENERATOR,
        }
    ).encode()
