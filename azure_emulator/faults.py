"""Faults a test has ordered: statuses, delays, resets and empty pages.

Owns matching, counting and the formatter of a faulty answer. Must not know what the
request would have done; it only decides before and after the effect.
"""

from __future__ import annotations

import asyncio
import fnmatch
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from azure_emulator.responses import json_response

REGEX_MARKS = ("^", "$", "\\", "(", "|", "+", ".*", "[^")

DEFAULT_BODIES = {
    401: ("Unauthorized", "AKV10000: Request is missing a Bearer or PoP token."),
    403: ("Forbidden", "The request is refused by an ordered fault."),
    404: ("KeyNotFound", "The key is hidden by an ordered fault."),
    409: ("Conflict", "The request conflicts by an ordered fault."),
    429: (
        "Throttled",
        "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
    ),
    500: ("InternalError", "An internal server error has occurred."),
    502: ("BadGateway", "The gateway could not reach the service."),
    503: ("ServiceUnavailable", "The service is temporarily unavailable."),
    504: ("GatewayTimeout", "The service did not answer in time."),
}


class BadFault(Exception):
    """The fault asked for makes no sense; the text says why."""


class ConnectionReset(Exception):
    """The connection must be reset instead of answered."""


@dataclass
class Fault:
    """One ordered fault and how often it has struck."""

    id: str
    method: str = "*"
    path: str = "*"
    vault: str | None = None
    part: str | None = None
    count: int = 1
    skip: int = 0
    status: int | None = None
    retry_after: float | None = None
    code: str | None = None
    message: str | None = None
    claims: str | None = None
    when: str = "before"
    delay_ms: float = 0.0
    delay_after_ms: float = 0.0
    reset: str | None = None
    empty_page: bool = False
    hits: int = 0

    def fits(self, method: str, path: str, vault: str | None, part: str) -> bool:
        """Whether this request is meant; counting is the book's business."""
        methods = {word.strip().upper() for word in self.method.split(",")}
        if "*" not in methods and method.upper() not in methods:
            return False
        if self.vault is not None and (vault or "").lower() != self.vault.lower():
            return False
        if self.part is not None and part != self.part:
            return False
        return self._path_fits(path) or self._path_fits(path.rstrip("/"))

    def _path_fits(self, path: str) -> bool:
        if any(mark in self.path for mark in REGEX_MARKS):
            return re.search(self.path, path, re.IGNORECASE) is not None
        return fnmatch.fnmatchcase(path.lower(), self.path.lower())

    def answer(self, challenge: str | None) -> Response:
        """The answer given in place of the real one."""
        status = self.status or 500
        code, message = DEFAULT_BODIES.get(status, ("Fault", "An ordered fault."))
        headers: dict[str, str] = {}
        if self.retry_after is not None:
            headers["retry-after"] = f"{self.retry_after:g}"
        if status == 401 and challenge:
            headers["www-authenticate"] = challenge
            if self.claims:
                # Continuous access evaluation: the challenge carries claims for the next token.
                headers["www-authenticate"] += f', error="insufficient_claims", claims="{self.claims}"'
        return json_response(
            {"error": {"code": self.code or code, "message": self.message or message}}, status, headers
        )


def number(body: dict[str, Any], name: str, kind: type[int | float]) -> None:
    """Convert one member to a number in place."""
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise BadFault(f"'{name}' must be a number.")
    if value is not None:
        body[name] = kind(value)


def parse(body: Any) -> Fault:
    """Build a fault from the control API's JSON; unknown words are refused, not ignored."""
    if not isinstance(body, dict):
        raise BadFault("A fault is a JSON object.")
    values = {name: value for name, value in body.items() if value is not None}
    unknown = set(values) - (set(Fault.__dataclass_fields__) - {"id", "hits"})
    if unknown:
        raise BadFault(f"A fault has no '{min(unknown)}'.")
    for name in ("count", "skip", "status"):
        number(values, name, int)
    for name in ("retry_after", "delay_ms", "delay_after_ms"):
        number(values, name, float)
    if values.get("reset") not in (None, "before", "after") or values.get("when", "before") not in ("before", "after"):
        raise BadFault("'reset' and 'when' are 'before' or 'after'.")
    if not any(values.get(name) for name in ("status", "delay_ms", "delay_after_ms", "reset", "empty_page")):
        raise BadFault("A fault needs one of status, delay_ms, delay_after_ms, reset or empty_page.")
    try:
        re.compile(values.get("path", "") if any(mark in values.get("path", "") for mark in REGEX_MARKS) else "")
    except (re.error, TypeError) as error:
        raise BadFault(f"'path' is not a pattern: {error}.") from error
    return Fault(id=uuid.uuid4().hex[:12], **values)


class FaultList:
    """All ordered faults; the first that fits and is not used up applies."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def take(self, method: str, path: str, vault: str | None, part: str) -> Fault | None:
        """Find the fault for this request and use it up by one."""
        for fault in self.faults:
            if fault.count == 0 or not fault.fits(method, path, vault, part):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.count > 0:
                fault.count -= 1
            fault.hits += 1
            return fault
        return None


async def apply(
    fault: Fault | None, effect: Callable[[], Awaitable[Response]], challenge: str | None = None
) -> Response:
    """Run the effect under a fault: before it, after it, or in its place."""
    if fault is None:
        return await effect()
    if fault.delay_ms:
        await asyncio.sleep(fault.delay_ms / 1000)
    if fault.reset == "before":
        raise ConnectionReset
    if fault.status and fault.when == "before":
        return fault.answer(challenge)
    response = await effect()
    if fault.delay_after_ms:
        await asyncio.sleep(fault.delay_after_ms / 1000)
    if fault.reset == "after":
        raise ConnectionReset
    return fault.answer(challenge) if fault.status else response
