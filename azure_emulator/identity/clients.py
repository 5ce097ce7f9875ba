"""Applications and managed identities that may sign in, and what each may do.

Owns their records, the seeded one and the check of changes. Must not know about tokens
or vaults.
"""

from __future__ import annotations

import fnmatch
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

from azure_emulator.identity.certificates import BadCertificate, check_certificates, describe_certificate

SEED_TENANT = "11111111-1111-1111-1111-111111111111"
SEED_CLIENT = "22222222-2222-2222-2222-222222222222"
SEED_SECRET = "emulator-secret"
SEED_SUBSCRIPTION = "33333333-3333-3333-3333-333333333333"
FEDERATED_AUDIENCE = "api://AzureADTokenExchange"

# The words of a vault access policy for keys; RBAC data actions map to the same words.
KEY_PERMISSIONS = (
    "get", "list", "create", "import", "update", "delete", "recover", "purge", "backup", "restore",
    "rotate", "getrotationpolicy", "setrotationpolicy", "encrypt", "decrypt", "sign", "verify",
    "wrapkey", "unwrapkey", "release",
)  # fmt: skip
MANAGED_IDENTITY_KINDS = ("", "system", "user")


class BadClient(Exception):
    """The client is not possible; the text says why."""


@dataclass
class Client:
    """One application; its permissions hold in every vault.

    ``arm`` is whether it has any role on the control plane, ``arm_actions`` what that role allows, with
    wildcards as in role definitions. ``federated`` lists issuer, subject and audience of foreign tokens.
    """

    client_id: str
    secret: str = SEED_SECRET
    tenant_id: str = SEED_TENANT
    permissions: list[str] = field(default_factory=lambda: list(KEY_PERMISSIONS))
    arm: bool = True
    arm_actions: list[str] = field(default_factory=lambda: ["*/read"])
    secret_expired: bool = False
    disabled: bool = False
    missing_service_principal: bool = False
    blocked_by_conditional_access: bool = False
    certificates: list[str] = field(default_factory=list)
    federated: list[dict[str, str]] = field(default_factory=list)
    managed_identity: str = ""
    resource_id: str = ""

    @property
    def object_id(self) -> str:
        """The id of the service principal, which differs from the application's id."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.tenant_id}/{self.client_id}"))

    def may_on_control_plane(self, action: str) -> bool:
        """Whether a role allows this action of Resource Manager."""
        return self.arm and any(fnmatch.fnmatchcase(action.lower(), allowed.lower()) for allowed in self.arm_actions)

    def to_json(self) -> dict[str, Any]:
        """The stored form, secret included."""
        return asdict(self)

    def described(self) -> dict[str, Any]:
        """What the control API shows: no secret, and certificates by their thumbprints."""
        values = {name: value for name, value in self.to_json().items() if name != "secret"}
        values["certificates"] = [describe_certificate(pem) for pem in self.certificates]
        return values | {"object_id": self.object_id}


def seeded_clients() -> dict[str, Client]:
    """The one client that always exists."""
    return {SEED_CLIENT: Client(client_id=SEED_CLIENT)}


def read_permissions(value: Any) -> list[str]:
    """Check permission words; "all" stands for every one."""
    words = [word.lower() for word in read_texts("permissions", value)]
    if "all" in words:
        return list(KEY_PERMISSIONS)
    unknown = [word for word in words if word not in KEY_PERMISSIONS]
    if unknown:
        raise BadClient(f"There is no key permission '{unknown[0]}'.")
    return words


def read_texts(name: str, value: Any) -> list[str]:
    """Check a list of texts."""
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise BadClient(f"'{name}' is a list of words.")
    return value


def read_federated(value: Any) -> list[dict[str, str]]:
    """Check federated credentials; the audience has a usual value."""
    credentials: list[dict[str, str]] = []
    for entry in value if isinstance(value, list) else [None]:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in ("issuer", "subject")):
            raise BadClient("'federated' is a list of objects with issuer and subject.")
        audience = str(entry.get("audience") or FEDERATED_AUDIENCE)
        credentials.append({"issuer": entry["issuer"], "subject": entry["subject"], "audience": audience})
    return credentials


def read_managed_identity(value: Any) -> str:
    """Check whether and how the client is a managed identity."""
    if value not in MANAGED_IDENTITY_KINDS:
        raise BadClient("'managed_identity' is 'system', 'user' or empty.")
    return str(value)


def read_certificates(value: Any) -> list[str]:
    """Check that each certificate is PEM with an RSA key."""
    try:
        return check_certificates(read_texts("certificates", value))
    except BadCertificate as error:
        raise BadClient(str(error)) from error


READERS = {
    "permissions": read_permissions,
    "arm_actions": lambda value: read_texts("arm_actions", value),
    "certificates": read_certificates,
    "federated": read_federated,
    "managed_identity": read_managed_identity,
}
KINDS = {
    "secret": str, "tenant_id": str, "arm": bool, "secret_expired": bool, "disabled": bool, "resource_id": str,
    "missing_service_principal": bool, "blocked_by_conditional_access": bool,
}  # fmt: skip


def upsert(clients: dict[str, Client], body: Any) -> Client:
    """Make or change a client from the control API's JSON; absent members stay as they are."""
    if not isinstance(body, dict) or not isinstance(body.get("client_id"), str) or not body["client_id"]:
        raise BadClient("'client_id' is needed.")
    unknown = set(body) - set(Client.__dataclass_fields__)
    if unknown:
        raise BadClient(f"A client has no '{min(unknown)}'.")
    name = body["client_id"].lower()
    client = clients.get(name) or Client(client_id=body["client_id"])
    changes: dict[str, Any] = {}
    for word, value in body.items():
        if word == "client_id" or value is None:
            continue
        if word in READERS:
            changes[word] = READERS[word](value)
        elif isinstance(value, KINDS[word]):
            changes[word] = value
        else:
            raise BadClient(f"'{word}' has the wrong type.")
    for word, value in changes.items():
        setattr(client, word, value)
    clients[name] = client
    return client
