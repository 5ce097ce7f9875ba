"""How answers look on the wire: JSON bodies and the headers common to them.

Owns serialisation only. Must not decide a status or a text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

JSON_TYPE = "application/json; charset=utf-8"


def json_response(payload: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with a JSON body."""
    content = json.dumps(payload, separators=(",", ":")).encode()
    return Response(content, status, dict(headers or {}), media_type=JSON_TYPE)


def empty_response(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An answer without a body, such as the 204 of a purge."""
    return Response(None, status, dict(headers or {}))
