"""An independent look at the stand-in: the Azure SDK used directly, none of our client code."""

from __future__ import annotations

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import SignatureAlgorithm

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"


class VaultObserver:
    """What a vault holds, asked by somebody else than the product."""

    def __init__(self, stand_in, vault="kv-premium"):
        self.stand_in = stand_in
        ca = str(stand_in.ca_file)
        credential = ClientSecretCredential(
            TENANT,
            CLIENT,
            "emulator-secret",
            authority=stand_in.url,
            disable_instance_discovery=True,
            connection_verify=ca,
        )
        self.client = KeyClient(
            stand_in.vault_url(vault), credential, connection_verify=ca, verify_challenge_resource=False
        )

    def versions(self, name):
        """Version ids of a live key."""
        try:
            return [item.version for item in self.client.list_properties_of_key_versions(name)]
        except ResourceNotFoundError:
            return []

    def keks(self):
        """Names of ephemeral keys that are live or deleted but not purged."""
        live = [item.name for item in self.client.list_properties_of_keys()]
        deleted = [item.name for item in self.client.list_deleted_keys()]
        return [name for name in live + deleted if name.startswith("kmes-kek-")]

    def sign(self, name, version, algorithm=SignatureAlgorithm.es256, digest=b"\x5a" * 32):
        """A signature made by the vault."""
        crypto = self.client.get_cryptography_client(name, key_version=version)
        return crypto.sign(algorithm, digest).signature

    def is_deleted(self, name):
        """Whether the key is deleted but recoverable."""
        try:
            self.client.get_deleted_key(name)
        except HttpResponseError:
            return False
        return True
