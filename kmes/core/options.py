"""Options of the installation that may be changed while it runs, and their present values.

Each has a default from the settings. An option set in the environment can't be changed on pages. An upper
package stores chosen values and registers a reader here, so that packages below get a value without
knowing where it is stored.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Option:
    """A whole number that can be chosen within limits; ``setting`` is its name in settings and environment."""

    name: str
    setting: str
    label: str | Promise
    unit: str | Promise
    text: str | Promise
    lowest: int
    highest: int

    @property
    def default(self) -> int:
        """Return the value that holds until another is chosen."""
        return int(getattr(settings, self.setting))

    @property
    def is_locked(self) -> bool:
        """Return whether the environment sets it."""
        return bool(os.environ.get(self.setting))


OPTIONS: dict[str, Option] = {
    option.name: option
    for option in (
        Option(
            "export_keep_days",
            "KMES_EXPORT_KEEP_DAYS",
            _("Keep export files"),
            _("days"),
            _("Older files are deleted by the report worker. The log they were made from stays."),
            1,
            3650,
        ),
        Option(
            "notice_keep_days",
            "KMES_NOTICE_KEEP_DAYS",
            _("Keep notices"),
            _("days"),
            _("Older notices are removed from the list. The log rows they refer to stay."),
            1,
            3650,
        ),
        Option(
            "compare_every_hours",
            "KMES_COMPARE_EVERY_HOURS",
            _("Compare each group with its vault every"),
            _("hours"),
            _("How soon the console notices what somebody changed in Azure itself."),
            1,
            720,
        ),
        Option(
            "read_vaults_every_hours",
            "KMES_READ_VAULTS_EVERY_HOURS",
            _("Read how vaults are set up every"),
            _("hours"),
            _(
                "Access model, network and policies, for the readiness of each vault and the key group dialog. 0: never."
            ),
            0,
            720,
        ),
        Option(
            "rotations_per_minute",
            "KMES_ROTATIONS_PER_MINUTE",
            _("Scheduled rotations to begin"),
            _("a minute, at most"),
            _(
                "So that a wrong clock or a long pause can't start thousands at once. The rest follows minute by minute."
            ),
            1,
            1000,
        ),
    )
}

_readers: list[Callable[[str], int | None]] = []


def register_reader(reader: Callable[[str], int | None]) -> None:
    """Register the reader of chosen values; it returns None for an option without one."""
    _readers[:] = [reader]


def value(name: str) -> int:
    """Return the value that holds now: the environment's, else the chosen one, else the default.

    Raises:
        KeyError: there is no such option.

    """
    option = OPTIONS[name]
    if not option.is_locked:
        for reader in _readers:
            chosen = reader(name)
            if chosen is not None and option.lowest <= chosen <= option.highest:
                return chosen
    return option.default
