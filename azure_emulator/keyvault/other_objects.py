"""Secrets and certificates: a vault has them, but no client here has a right to them.

Owns which permission a request for one needs, by both access models. Source: docs/azure.md,
"Permissions". Must not refuse anything itself.
"""

from __future__ import annotations

from dataclasses import dataclass

KINDS = {
    "secrets": "secrets",
    "deletedsecrets": "secrets",
    "certificates": "certificates",
    "deletedcertificates": "certificates",
}
OPERATIONS = ("backup", "restore", "recover", "create", "import")


@dataclass(frozen=True)
class Needed:
    """A permission as access policies name it, and the object it is needed for."""

    kind: str
    permission: str
    name: str


def permission_needed(method: str, path: list[str]) -> Needed | None:
    """The permission for a request about secrets or certificates; None for any other request."""
    segments = [segment for segment in path if segment]
    words = [segment.lower() for segment in segments]
    kind = KINDS.get(words[0]) if words else None
    if kind is None:
        return None
    is_listing = len(words) == 1 or words[-1] == "versions"
    permission = {
        "GET": "list" if is_listing else "get",
        "HEAD": "list" if is_listing else "get",
        "PUT": "set",
        "PATCH": "set" if kind == "secrets" else "update",
        "DELETE": "purge" if words[0].startswith("deleted") else "delete",
        "POST": words[-1] if words[-1] in OPERATIONS else None,
    }.get(method)
    has_name = len(segments) > 1 and words[1] != "restore"
    return Needed(kind, permission, segments[1] if has_name else "") if permission else None
