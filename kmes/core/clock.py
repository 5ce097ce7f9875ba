"""The one source of the current time, so that tests and simulations can move it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from django.utils import timezone

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Uptime:
    """How long this machine has been up, in seconds, sleep included; ``boot_id`` identifies the boot."""

    boot_id: str
    seconds: float


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return timezone.now()


def stamp(moment: datetime) -> str:
    """Format a moment as the console's logs do: ``YYYY-MM-DD HH:MM:SS`` in UTC."""
    return moment.astimezone(timezone.get_fixed_timezone(0)).strftime("%Y-%m-%d %H:%M:%S")


def steady() -> float:
    """Return steadily increasing seconds, independent of the wall clock and including sleep; for differences."""
    up = uptime()
    return up.seconds if up else time.monotonic()


@cache
def _boot_id() -> str:
    # Cached, because a process ends with the machine's uptime.
    return _BOOT_ID.read_text().strip()


def uptime() -> Uptime | None:
    """Return the machine's uptime, independent of the wall clock; None if it can't be read."""
    try:
        return Uptime(_boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME))
    except (OSError, AttributeError):
        return None
