"""JSON answers and the spelling of header names.

Owns serialization only. Must not decide a status or a text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

JSON_TYPE = "application/json; charset=utf-8"


# Names that do not have exactly one capital after each hyphen.
SPELLINGS = {"www-authenticate": "WWW-Authenticate"}


def canonical_name(name: str) -> str:
    """A header's name as the service spells it; clients that parse HTTP/1.1 themselves may depend on it."""
    lowered = name.lower()
    if lowered.startswith("x-ms-"):
        return lowered
    return SPELLINGS.get(lowered) or lowered.title()


def json_response(payload: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with a JSON body."""
    content = json.dumps(payload, separators=(",", ":")).encode()
    return Response(content, status, dict(headers or {}), media_type=JSON_TYPE)


def empty_response(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An answer without a body, such as the 204 of a purge."""
    return Response(None, status, dict(headers or {}))
