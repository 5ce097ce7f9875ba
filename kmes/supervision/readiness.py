"""Asks the running console whether it answers and whether all its parts work. Changes nothing."""

from __future__ import annotations

import http.client
import json


def _get(port: int, path: str, seconds: float) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def answers(port: int) -> bool:
    """Say whether the web process serves requests."""
    status, _body = _get(port, "/healthz", 1.0)
    return status == http.client.OK


def failing_parts(port: int) -> list[str] | None:
    """Name the parts that don't work yet, such as "worker (silent)".

    Returns None when /readyz itself has no answer to read.
    """
    _status, body = _get(port, "/readyz", 3.0)
    try:
        checks = json.loads(body)["checks"]
        return [f"{name} ({state})" for name, state in checks.items() if state != "ok"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
