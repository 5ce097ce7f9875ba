"""The device of a sign-in as people know it ("Firefox, Windows"), and whether a user signed in from it before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kmes.accounts.models import ConsoleSession, KnownDevice, User
from kmes.core.clock import now
from kmes.core.columns import cut

# A device that was not used for so long is new again.
KNOWN_FOR = timedelta(days=90)
# The first word that stands in the user agent names the browser: the later ones stand in those of the former, too.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("FxiOS/", "Firefox"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def of_request(request: Any) -> str:
    """Return browser and system of a request, "" when it names neither. The header is a claim, not a proof."""
    agent = str(request.META.get("HTTP_USER_AGENT", ""))
    found = [_first(agent, names) for names in (_BROWSERS, _SYSTEMS)]
    described = ", ".join(filter(None, found)) or agent.partition("/")[0]
    return cut(ConsoleSession, "device", described)


def _first(agent: str, names: tuple[tuple[str, str], ...]) -> str:
    return next((name for word, name in names if word in agent), "")


def is_new(user: User, *, device: str, address: str) -> bool:
    """Note a sign-in; return whether this user was not known to sign in so. The first sign-in of all is not new.

    Call inside a transaction.
    """
    moment = now()
    KnownDevice.objects.filter(user=user, seen_at__lt=moment - KNOWN_FOR).delete()
    has_others = KnownDevice.objects.filter(user=user).exists()
    _row, is_first = KnownDevice.objects.update_or_create(
        user=user, device=device, address=address, defaults={"seen_at": moment}
    )
    return is_first and has_others
