"""The one error family of the product.

Every failure a user may meet is a ``KmesError``: what happened, why, and what to do, in
words fit for a page or a job log. Layers below translate foreign exceptions (PKCS#11, Azure
SDK, Redis) into these at their border; nothing above a border catches foreign exceptions.
"""

from __future__ import annotations

from kmes.core.stored_text import storable


class KmesError(Exception):
    """A failure with a text for people.

    Attributes:
        what: one sentence, what happened.
        remedy: one sentence, what to do about it (may be empty).
        retryable: whether the same call may succeed later without anybody changing anything.
        code: a short stable word for tests, filters and metrics.

    """

    code = "error"

    def __init__(self, what: str, remedy: str = "", *, retryable: bool = False, code: str = "") -> None:
        # A lazy text is evaluated here: it must not reach a row, a message or another process.
        # It may quote another system, and ends in a row.
        self.what = storable(str(what))
        self.remedy = storable(str(remedy))
        super().__init__(self.what)
        self.retryable = retryable
        if code:
            self.code = code

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}".strip()


class InputError(KmesError):
    """The user's input can't be used. ``field`` names the form field it belongs to."""

    code = "input"

    def __init__(self, what: str, remedy: str = "", *, field: str = "") -> None:
        super().__init__(what, remedy)
        self.field = field


class PermissionRefused(KmesError):
    """The actor lacks a right; the text names it."""

    code = "permission"


class ConflictError(KmesError):
    """The state changed, or another job holds the object; nothing was done."""

    code = "conflict"


class DeviceError(KmesError):
    """The HSM can't serve. Carries no PKCS#11 detail that could hold a secret."""

    code = "device"
