"""Named moments between two effects, at which the fault tests may end or disturb a process.

Switched on by ``settings.KMES_FAILPOINTS``, which the product's settings leave empty and refuse to
read from the environment. Form: ``name=action@number``, several joined by ``;``. ``action`` is
"kill" (SIGKILL to the own process), "exit" (an exception) or "stop" (SIGSTOP); ``number`` counts
how often the moment must have come (1 the first time).
"""

from __future__ import annotations

import os
import signal
from collections import Counter

from django.conf import settings

_passed: Counter[str] = Counter()


class FailpointError(Exception):
    """The failure a failpoint was asked for; nothing in the product expects it."""


def reach(name: str) -> None:
    """Say that the moment ``name`` has come; does nothing where no failpoint is set."""
    if not settings.KMES_FAILPOINTS:
        return
    for plan in settings.KMES_FAILPOINTS.split(";"):
        point, _equals, rest = plan.partition("=")
        if point != name:
            continue
        action, _at, number = rest.partition("@")
        _passed[plan] += 1
        if _passed[plan] == int(number or 1):
            _act(action, name)


def _act(action: str, name: str) -> None:
    match action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "exit":
            raise FailpointError(name)
        case _:
            message = f"there is no failpoint action {action!r}"
            raise ValueError(message)
