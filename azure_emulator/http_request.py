"""One HTTP request, read completely and split into its parts.

Owns reading: host, path segments, query, body. Must not decide what the request means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.requests import Request
from starlette.types import Receive, Scope

if TYPE_CHECKING:
    from azure_emulator.faults.model import Fault
    from azure_emulator.keyvault.vault import Vault

ABSOLUTE_FORM = re.compile(r"^https?://[^/]*", re.IGNORECASE)
HOST_HEADER = re.compile(r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?\Z")


@dataclass
class HttpRequest:
    """One request, and which part of Azure it is for."""

    method: str
    segments: list[str]
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    host: str
    base: str
    port: int
    part: str = "unknown"
    vault: Vault | None = None
    client: str | None = None
    fault: Fault | None = None
    client_address: str = "127.0.0.1"


def read_host(scope: Scope, headers: dict[str, str]) -> tuple[str, str] | None:
    """Host name and base URL as the client wrote them; None when the header is malformed."""
    server = scope.get("server") or ("localhost", 443)
    given = headers.get("host") or f"{server[0]}:{server[1]}"
    found = HOST_HEADER.match(given)
    return (found.group(1).lower(), f"https://{given.lower()}") if found else None


async def read_request(scope: Scope, receive: Receive) -> HttpRequest | None:
    """Read one request; None when its host header is malformed."""
    given = Request(scope, receive)
    headers = dict(given.headers.items())
    place = read_host(scope, headers)
    body = await given.body()
    if place is None:
        return None
    # In the raw path an encoded slash stays inside its segment.
    raw = (scope.get("raw_path") or scope["path"].encode()).split(b"?")[0].decode("latin-1")
    # A request through a proxy may name the whole address (RFC 9112, 3.2.2).
    raw = ABSOLUTE_FORM.sub("", raw)
    segments = [unquote(segment) for segment in raw.split("/")[1:]]
    if len(segments) > 1 and segments[-1] == "":
        segments.pop()
    return HttpRequest(
        method=scope["method"].upper(),
        segments=segments,
        path=unquote(raw),
        query=dict(given.query_params.items()),
        headers=headers,
        body=body,
        host=place[0],
        base=place[1],
        port=(scope.get("server") or ("", 443))[1],
        client_address=(scope.get("client") or ("127.0.0.1", 0))[0],
    )
