"""Named points between two effects, at which the fault tests may end or stop a process.

Enabled by ``settings.KMES_FAILPOINTS``, which the product's settings leave empty and never read from the
environment. It is a text of the form ``name=action@number``, several joined by ``;``: ``action`` is "kill"
(SIGKILL to the own process) or "stop" (SIGSTOP), ``number`` the pass at which it happens (1 is the first).
Or it is a function that is called with each name.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

from django.conf import settings

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_passed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Mark the point ``name``; does nothing unless ``settings.KMES_FAILPOINTS`` names it."""
    plans = settings.KMES_FAILPOINTS
    if not plans:
        return
    if callable(plans):
        plans(name)
        return
    for plan in plans.split(";"):
        point, _equals, rest = plan.partition("=")
        if point != name:
            continue
        action, _at, number = rest.partition("@")
        _passed[plan] += 1
        if _passed[plan] == int(number or 1):
            os.kill(os.getpid(), _SIGNALS[action])
