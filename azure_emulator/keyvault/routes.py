"""Routes of the data plane: the operation for a method and a path.

Owns the table of paths. Empty segments do not count, fixed words may have any letter case, and what
stands in the place of a version without being one is taken for an operation. Source: docs/azure.md,
"Keys API". Must not authorize or act.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from azure_emulator.keyvault import (
    api_versions,
    backup,
    crypto,
    errors,
    key_rotation,
    read,
    rotation,
    soft_delete,
    write,
)
from azure_emulator.keyvault.call import Call

Handler = Callable[[Call], Awaitable[dict[str, Any] | None]]

VERSION_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Operation:
    """What a method does at a path, and the permission it needs."""

    permission: str
    handler: Handler
    creates: bool = False
    since: str = api_versions.KNOWN[0]


@dataclass(frozen=True)
class Target:
    """What a path points at; ``name`` is None where no key is named."""

    word: str = ""
    name: str | None = None
    version: str = ""


@dataclass(frozen=True)
class Route:
    """One operation and what it is aimed at."""

    operation: Operation
    target: Target


Table = dict[str, Operation]

LIST: Table = {"GET": Operation("list", read.list_keys)}
LIST_DELETED: Table = {"GET": Operation("list", read.list_deleted)}
KEY: Table = {
    "GET": Operation("get", read.get),
    "PUT": Operation("import", write.import_key, creates=True),
    "PATCH": Operation("update", write.update),
    "DELETE": Operation("delete", soft_delete.delete),
}
VERSION: Table = {"GET": Operation("get", read.get), "PATCH": Operation("update", write.update)}
ACTIONS: dict[str, Table] = {
    "create": {"POST": Operation("create", write.create, creates=True)},
    "backup": {"POST": Operation("backup", backup.backup)},
    "rotate": {"POST": Operation("rotate", key_rotation.rotate, creates=True, since=api_versions.ROTATION)},
    "versions": {"GET": Operation("list", read.list_versions)},
    "rotationpolicy": {
        "GET": Operation("getrotationpolicy", rotation.get_policy, since=api_versions.ROTATION),
        "PUT": Operation("setrotationpolicy", rotation.put_policy, since=api_versions.ROTATION),
    },
}
VERSION_ACTIONS: dict[str, Table] = {
    **{word: {"POST": Operation(word, crypto.perform)} for word in crypto.OPERATIONS},
    "release": {"POST": Operation("release", crypto.release, since=api_versions.RELEASE)},
    **{
        word: {"POST": Operation("release", crypto.secure_wrap, since=api_versions.SECURE_WRAP)}
        for word in ("securewrapkey", "secureunwrapkey")
    },
}
DELETED: Table = {"GET": Operation("get", read.get_deleted), "DELETE": Operation("purge", soft_delete.purge)}
RECOVER: Table = {"POST": Operation("recover", soft_delete.recover)}
RESTORE: Table = {"POST": Operation("restore", backup.restore)}
RANDOM: Table = {"POST": Operation("get", crypto.random_bytes, since=api_versions.RANDOM_BYTES)}


def find_table(segments: list[str], method: str) -> tuple[Table, Target] | None:
    """The operations a path offers, by method."""
    words = [segment.lower() for segment in segments]
    match words:
        case ["keys"]:
            return LIST, Target()
        case ["rng"]:
            return RANDOM, Target()
        case ["keys", "restore"] if method == "POST":
            return RESTORE, Target()
        case ["keys", _]:
            return KEY, Target(name=segments[1])
        case ["keys", _, word] if word in ACTIONS:
            return ACTIONS[word], Target(word=word, name=segments[1])
        case ["keys", _, word] if word in VERSION_ACTIONS:
            return VERSION_ACTIONS[word], Target(word=word, name=segments[1])
        case ["keys", _, word] if VERSION_ID.fullmatch(word):
            return VERSION, Target(name=segments[1], version=segments[2])
        case ["keys", _, version, word] if VERSION_ID.fullmatch(version) and word in VERSION_ACTIONS:
            return VERSION_ACTIONS[word], Target(word=word, name=segments[1], version=segments[2])
        case ["deletedkeys"]:
            return LIST_DELETED, Target()
        case ["deletedkeys", _]:
            return DELETED, Target(name=segments[1])
        case ["deletedkeys", _, "recover"]:
            return RECOVER, Target(word="recover", name=segments[1])
        case ["keys" | "deletedkeys", _, _] | ["keys", _, _, _]:
            return {}, Target(word=words[-1], name=segments[1])
    return None


def resolve(method: str, path: list[str], api_version: str) -> Route:
    """The operation for this request; 400, 404 and 405 when there is none."""
    method = "GET" if method == "HEAD" else method
    segments = [segment for segment in path if segment]
    found = find_table(segments, method)
    if found is None:
        raise errors.not_found(f"The resource /{'/'.join(path)} does not exist.")
    table, target = found
    operation = table.get(method)
    if operation is None and target.word:
        raise errors.operation_not_allowed(method, segments[-1])
    if operation is None and table is KEY and method == "POST":
        raise errors.bad_parameter("Operation not specified")
    if operation is None:
        allowed = ", ".join(table)
        message = f"Method {method} is not allowed here. Allowed: {allowed}"
        raise errors.ServiceError(405, "MethodNotAllowed", message, headers={"allow": allowed})
    if not api_versions.is_at_least(api_version, operation.since):
        raise errors.operation_not_allowed(method, segments[-1])
    return Route(operation, target)
