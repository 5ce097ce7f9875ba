"""What a fault is: which requests it applies to, how often, and what it does.

Owns the record, its validation, matching and counting. Must not carry out a fault.
"""

from __future__ import annotations

import fnmatch
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

REGEX_MARKS = ("^", "$", "\\", "(", "|", "+", ".*", "[^")
ECHOED = ("authorization", "body", "client_assertion", "client_secret")
HEADER = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


class BadFault(Exception):
    """The fault is not possible; the text says why."""


@dataclass
class Fault:
    """One fault and how often it has been used.

    The first group says which requests it applies to. ``status``, ``aadsts``, ``body`` and ``echo`` give an answer in
    place of the real one, before or after the effect (``when``). The rest changes the answer on its way.
    """

    id: str
    method: str = "*"
    path: str = "*"
    vault: str | None = None
    part: str | None = None
    count: int = 1
    skip: int = 0
    before_sign_in: bool = False

    status: int | None = None
    code: str | None = None
    message: str | None = None
    aadsts: int | None = None
    body: str | None = None
    content_type: str | None = None
    echo: list[str] = field(default_factory=list)
    retry_after: float | str | None = None
    claims: str | None = None
    when: str = "before"

    delay_ms: float = 0.0
    delay_after_ms: float = 0.0
    reset: str | None = None

    headers: dict[str, str] = field(default_factory=dict)
    replace: dict[str, Any] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    empty_page: bool = False
    endless_pages: bool = False
    make_key: dict[str, Any] = field(default_factory=dict)

    cut_after: int | None = None
    cut_head_after: int | None = None
    content_length: int | None = None
    pad_bytes: int = 0
    drip_ms: float = 0.0
    drip_bytes: int = 1
    hold_ms: float = 0.0

    hits: int = 0

    @property
    def has_own_answer(self) -> bool:
        """Whether it gives an answer in place of the real one."""
        return self.status is not None or self.body is not None or self.aadsts is not None or bool(self.echo)

    @property
    def damages_delivery(self) -> bool:
        """Whether the answer must be written to the connection byte by byte."""
        return self.cuts or self.content_length is not None or bool(self.pad_bytes or self.drip_ms or self.hold_ms)

    @property
    def cuts(self) -> bool:
        """Whether the connection ends inside the answer."""
        return self.cut_after is not None or self.cut_head_after is not None

    def fits(self, method: str, path: str, vault: str | None, part: str) -> bool:
        """Whether the fault applies to this request; ``FaultList`` counts."""
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


def is_number(value: Any) -> bool:
    """True for a JSON number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_text_list(value: Any) -> bool:
    """True for a list of texts."""
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def is_header_map(value: Any) -> bool:
    """True for header names with values that fit on one line."""
    return isinstance(value, dict) and all(
        HEADER.match(name) and isinstance(text, str) and "\r" not in text and "\n" not in text
        for name, text in value.items()
    )


def is_instance(*kinds: type) -> Callable[[Any], bool]:
    """A check for one of these types."""
    return lambda value: isinstance(value, kinds)


CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("count", "skip", "status", "aadsts", "delay_ms", "delay_after_ms", "cut_after", "cut_head_after", "content_length", "pad_bytes", "drip_ms", "drip_bytes", "hold_ms"), (is_number, "a number")),
    **{
        name: (is_instance(str), "a text")
        for name in ("method", "path", "vault", "part", "code", "message", "body", "content_type", "claims")
    },
    **{
        name: (is_instance(bool), "true or false") for name in ("before_sign_in", "empty_page", "endless_pages")
    },
    **{name: (lambda value: value in ("before", "after"), "'before' or 'after'") for name in ("when", "reset")},
    "retry_after": (lambda value: is_number(value) or isinstance(value, str), "a number or a text"),
    "headers": (is_header_map, "an object of header names and values"),
    "replace": (is_instance(dict), "an object of member paths and values"),
    "remove": (is_text_list, "a list of member paths"),
    "echo": (lambda value: is_text_list(value) and set(value) <= set(ECHOED), f"a list of {', '.join(ECHOED)}"),
    "make_key": (lambda value: isinstance(value, dict) and set(value) <= {"kty", "size"}, "an object of kty and size"),
}  # fmt: skip
WHOLE = {
    "count",
    "skip",
    "status",
    "aadsts",
    "cut_after",
    "cut_head_after",
    "content_length",
    "pad_bytes",
    "drip_bytes",
}
# At least one of these makes it a fault.
EFFECTS = (
    "status", "aadsts", "body", "echo", "delay_ms", "delay_after_ms", "reset", "headers", "replace", "remove",
    "empty_page", "endless_pages", "make_key", "cut_after", "cut_head_after", "content_length", "pad_bytes",
    "drip_ms", "hold_ms",
)  # fmt: skip


def parse(body: Any) -> Fault:
    """Build a fault from the control API's JSON; unknown members are refused, not ignored."""
    if not isinstance(body, dict):
        raise BadFault("A fault is a JSON object.")
    values = {name: value for name, value in body.items() if value is not None}
    unknown = set(values) - set(CHECKS)
    if unknown:
        raise BadFault(f"A fault has no '{min(unknown)}'.")
    for name, value in values.items():
        fits, wanted = CHECKS[name]
        if not fits(value):
            raise BadFault(f"'{name}' must be {wanted}.")
        if name in WHOLE:
            values[name] = int(value)
    fault = Fault(id=uuid.uuid4().hex[:12], **values)
    if not any(getattr(fault, name) not in (None, 0, False, {}, []) or values.get(name) == 0 for name in EFFECTS):
        raise BadFault(f"A fault needs one of {', '.join(EFFECTS)}.")
    if "when" not in values and not fault.has_own_answer:
        # A fault without its own answer changes the real one, which exists only after the effect.
        fault.when = "after"
    try:
        re.compile(fault.path if any(mark in fault.path for mark in REGEX_MARKS) else "")
    except re.error as error:
        raise BadFault(f"'path' is not a pattern: {error}.") from error
    return fault


class FaultList:
    """All faults asked for; the first that fits and is not used up applies."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def take(
        self, method: str, path: str, vault: str | None, part: str, *, before_sign_in: bool | None = None
    ) -> Fault | None:
        """Find the fault for this request and count it; ``before_sign_in`` None takes faults of both times."""
        for fault in self.faults:
            if before_sign_in is not None and fault.before_sign_in is not before_sign_in:
                continue
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
