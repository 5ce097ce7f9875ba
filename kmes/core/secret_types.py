"""Types for values that must not be printed: their repr is ``***``."""

from __future__ import annotations


class SecretText:
    """A text that only ``reveal()`` returns; it never appears in logs, tracebacks or pickles."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the clear text. Call it only where the text is passed to its consumer."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a secret can't be pickled")
