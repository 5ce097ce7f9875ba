"""What can be done to an answer, as a value; ``delivery`` does it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from tests.faults.relay.calls import Answer, Call


class When(StrEnum):
    """Whether the request reaches the service all the same."""

    BEFORE = "before"
    AFTER = "after"


class Framing(StrEnum):
    """What the head says about the length of the body."""

    # Of the whole body, so that a cut one is shorter than announced.
    WHOLE = "whole"
    # Of what is really sent, so that a cut one looks complete.
    SENT = "sent"
    CHUNKED = "chunked"
    # Nothing: the body ends with the connection.
    CLOSE = "close"


class Ending(StrEnum):
    """How the connection ends after a cut."""

    CLOSE = "close"
    RESET = "reset"
    # The connection stays open and silent.
    HANG = "hang"


HTML = (
    b"<!DOCTYPE html>\n<html><head><title>Gateway</title></head>\n"
    b"<body><h1>The page can't be shown</h1><p>Incident 4711, gateway 17.</p></body></html>\n"
)
HTML_TYPE = "text/html; charset=utf-8"
JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Damage:
    """One way to damage an answer. What is None or zero stays as it is.

    Attributes:
        when: BEFORE answers in the service's place; AFTER damages the answer to a call that was carried out.
        status: the status sent in its place.
        body: the body sent in its place.
        content_type: its type.
        headers: headers set, or taken away where the value is None.
        edit: makes another body of the service's own; gets the call and the body.
        pad: spaces added to the body, in bytes.
        framing: what the head says about the body's length.
        cut: bytes of the body that are sent; then comes ``ending``.
        cut_head: bytes of the head that are sent; then comes ``ending``.
        ending: how the connection ends after a cut.
        delay: seconds before the answer begins.
        drip_seconds: pause between two pieces of ``drip_bytes`` of the body.
        reset: the connection is reset instead of an answer.
        hang: no answer comes, and the connection stays open.

    """

    when: When = When.AFTER
    status: int | None = None
    body: bytes | None = None
    content_type: str | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    edit: Callable[[Call, bytes], bytes] | None = None
    pad: int = 0
    framing: Framing = Framing.WHOLE
    cut: int | None = None
    cut_head: int | None = None
    ending: Ending = Ending.CLOSE
    delay: float = 0.0
    drip_seconds: float = 0.0
    drip_bytes: int = 1
    reset: bool = False
    hang: bool = False

    def __post_init__(self) -> None:
        if self.when == When.BEFORE and self.status is None and not (self.reset or self.hang or self.delay):
            raise ValueError("Damage before the effect needs a status, or no answer at all: there is none to damage.")

    @property
    def is_delay_only(self) -> bool:
        """Whether the service is asked all the same, only later."""
        return self.when == When.BEFORE and self.status is None and not self.reset and not self.hang

    def applied(self, call: Call, answer: Answer | None) -> Answer:
        """Return the answer to send; the service's own is None where it was not asked."""
        answer = answer or Answer(self.status or 502, "")
        status = self.status or answer.status
        reason = _reason(status) if self.status else answer.reason
        changes = dict(self.headers)
        body = answer.body if self.body is None else self.body
        if self.body is not None:
            changes.setdefault("Content-Type", self.content_type or HTML_TYPE)
        elif self.content_type is not None:
            changes.setdefault("Content-Type", self.content_type)
        if self.edit is not None:
            body = self.edit(call, body)
        return Answer(status, reason, answer.headers, body).with_headers(changes)

    def __str__(self) -> str:
        said = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value != _DEFAULTS[each.name]:
                short = value if not isinstance(value, bytes) or len(value) < 40 else f"{len(value)} bytes"
                said.append(f"{each.name}={getattr(short, '__name__', short)}")
        return ", ".join(said) or "none"


_DEFAULTS: dict[str, Any] = {
    each.name: {} if each.name == "headers" else each.default for each in fields(Damage)
}  # fmt: skip


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def page(status: int, *, when: When = When.AFTER, **more: Any) -> Damage:
    """Return an HTML page of something in between, with this status."""
    return Damage(when=when, status=status, body=HTML, content_type=HTML_TYPE, **more)


def envelope(
    status: int, code: str, message: str = "", *, inner: str = "", when: When = When.BEFORE, **more: Any
) -> Damage:
    """Return an error as Key Vault and Resource Manager write it."""
    error: dict[str, Any] = {"code": code, "message": message or code}
    if inner:
        error["innererror"] = {"code": inner}
    return Damage(
        when=when, status=status, body=json.dumps({"error": error}).encode(), content_type=JSON_TYPE, **more
    )  # fmt: skip


def entra_error(status: int, number: int, text: str = "Refused.", *, error: str = "invalid_client") -> Damage:
    """Return an error as the token endpoint writes it."""
    body = {"error": error, "error_description": f"AADSTS{number}: {text}", "error_codes": [number]}
    return Damage(when=When.BEFORE, status=status, body=json.dumps(body).encode(), content_type=JSON_TYPE)


def edited(change: Callable[[Call, Any], Any], **more: Any) -> Damage:
    """Return damage that changes the answer's JSON: ``change`` gets call and value, and returns the new value."""

    def edit(call: Call, body: bytes) -> bytes:
        return json.dumps(change(call, json.loads(body))).encode()

    return Damage(edit=edit, **more)
