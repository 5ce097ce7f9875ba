"""Remembers which arguments the functions of tables take.

django-tables2 inspects a function's signature again for each cell and each attribute of a row, which takes a
sixth of the time of a page with fifty rows.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

from django_tables2 import utils

Arguments = tuple[tuple[str, ...], str | None]

inspect_anew: Callable[[Any], Arguments] = utils.signature
_known: WeakKeyDictionary[Any, dict[bool, Arguments]] = WeakKeyDictionary()


def arguments_of(function: Any) -> Arguments:
    """Return the names of a function's arguments, without ``self``, and the name of its ``**`` argument."""
    is_method = isinstance(function, MethodType)
    inner = function.__func__ if is_method else function
    if not isinstance(inner, FunctionType):
        return inspect_anew(function)
    # The same function may be called as a method and by itself.
    known = _known.setdefault(inner, {})
    if is_method not in known:
        known[is_method] = inspect_anew(function)
    return known[is_method]


def install() -> None:
    """Let django-tables2 use it."""
    vars(utils)["signature"] = arguments_of
