"""What packages above know of a role: they register here why it can't be deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# Returns in sentences what names the role of a code.
Use = Callable[[str], list[str]]


@dataclass
class _Registry:
    uses: tuple[Use, ...] = ()


_registry = _Registry()


def register(use: Use) -> None:
    """Have a package asked before a role is deleted."""
    _registry.uses += (use,)


def find_uses(code: str) -> list[str]:
    """Return in sentences what names a role, besides its users."""
    return [sentence for use in _registry.uses for sentence in use(code)]
