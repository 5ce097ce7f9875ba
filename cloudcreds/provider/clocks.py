"""What is said about clocks that differ: the limit, and the difference in words. Asks no cloud and no clock.

A difference is how far this machine's clock is ahead; it is negative when the clock is behind.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

# Clocks that differ by less are not worth a word: Entra and Key Vault allow five minutes.
LIMIT = timedelta(minutes=3)


def is_too_large(difference: timedelta | None) -> bool:
    """Return whether a difference has to be said; one that is not known has not."""
    return difference is not None and abs(difference) > LIMIT


def describe(difference: timedelta, whose: str) -> str:
    """Return the difference as a sentence. ``whose`` names the owner of the other clock: “the vault's”."""
    values = {"amount": _amount(abs(difference)), "whose": whose}
    if difference < timedelta(0):
        return _("This machine's clock is %(amount)s behind %(whose)s.") % values
    return _("This machine's clock is %(amount)s ahead of %(whose)s.") % values


def the_vaults() -> str:
    """Return the owner of a vault's clock, for ``describe``."""
    return _("the vault's")


def remedy() -> str:
    """Return what to do about a difference."""
    return _("Set the clock of the cloud worker's machine right, for example by NTP; then try again.")


def _amount(difference: timedelta) -> str:
    minutes = round(difference.total_seconds() / 60)
    if minutes >= 48 * 60:
        days = round(minutes / (24 * 60))
        return ngettext("%(count)d day", "%(count)d days", days) % {"count": days}
    hours, rest = divmod(minutes, 60)
    if not hours:
        return _("%(count)d min") % {"count": max(1, minutes)}
    if not rest:
        return _("%(count)d h") % {"count": hours}
    return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": rest}
