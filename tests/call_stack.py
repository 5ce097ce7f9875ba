"""Gives tests a call stack in one piece.

Python 3.11 keeps frames in chunks of 16 KiB, and unmaps a chunk when its last frame ends. The pages that a test asks
for are rendered deep below pytest: calls crossed the end of a chunk a hundred times a request, with two system calls
and four new memory pages each time. That was a fifth of the CPU time of such tests.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

# A chunk is the next power of two above what its first frame needs: 512 KiB, of which the rest is for all frames below.
# Memory that nobody touches costs nothing.
WORDS = 33_000


def in_one_piece(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls this one with a chunk of its own."""

    @functools.wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        return function(*given, **named)

    call.__code__ = call.__code__.replace(co_stacksize=WORDS)
    return call
