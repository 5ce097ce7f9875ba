"""Applications that may sign in, and what each may do.

Owns the client records and the seeded one. Must not know about tokens or vaults.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

SEED_TENANT = "11111111-1111-1111-1111-111111111111"
SEED_CLIENT = "22222222-2222-2222-2222-222222222222"
SEED_SECRET = "emulator-secret"
SEED_SUBSCRIPTION = "33333333-3333-3333-3333-333333333333"

# The words of a vault access policy for keys; RBAC data actions map to the same words.
KEY_PERMISSIONS = (
    "get", "list", "create", "import", "update", "delete", "recover", "purge", "backup", "restore",
    "rotate", "getrotationpolicy", "setrotationpolicy", "encrypt", "decrypt", "sign", "verify",
    "wrapkey", "unwrapkey", "release",
)  # fmt: skip


class BadClient(Exception):
    """The client asked for makes no sense; the text says why."""


@dataclass
class Client:
    """One application; its permissions hold in every vault."""

    client_id: str
    secret: str = SEED_SECRET
    tenant_id: str = SEED_TENANT
    permissions: list[str] = field(default_factory=lambda: list(KEY_PERMISSIONS))
    arm: bool = True
    secret_expired: bool = False

    @property
    def object_id(self) -> str:
        """The id of the service principal, which differs from the application's id."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.tenant_id}/{self.client_id}"))

    def to_json(self) -> dict[str, Any]:
        """The stored form, secret included."""
        return asdict(self)


def seeded_clients() -> dict[str, Client]:
    """The one client that always exists."""
    return {SEED_CLIENT: Client(client_id=SEED_CLIENT)}


def read_permissions(value: Any) -> list[str]:
    """Check permission words; "all" stands for every one."""
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise BadClient("'permissions' is a list of words.")
    words = [word.lower() for word in value]
    if "all" in words:
        return list(KEY_PERMISSIONS)
    unknown = [word for word in words if word not in KEY_PERMISSIONS]
    if unknown:
        raise BadClient(f"There is no key permission '{unknown[0]}'.")
    return words


def upsert(clients: dict[str, Client], body: Any) -> Client:
    """Make or change a client from the control API's JSON; absent members stay as they are."""
    if not isinstance(body, dict) or not isinstance(body.get("client_id"), str) or not body["client_id"]:
        raise BadClient("'client_id' is needed.")
    unknown = set(body) - set(Client.__dataclass_fields__)
    if unknown:
        raise BadClient(f"A client has no '{min(unknown)}'.")
    name = body["client_id"].lower()
    client = clients.get(name) or Client(client_id=body["client_id"])
    if "permissions" in body and body["permissions"] is not None:
        client.permissions = read_permissions(body["permissions"])
    for word, kind in (("secret", str), ("tenant_id", str), ("arm", bool), ("secret_expired", bool)):
        value = body.get(word)
        if value is None:
            continue
        if not isinstance(value, kind):
            raise BadClient(f"'{word}' has the wrong type.")
        setattr(client, word, value)
    clients[name] = client
    return client
