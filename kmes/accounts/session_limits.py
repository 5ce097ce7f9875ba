"""When a session ends by itself: some time after its last use, and some time after its beginning (docs/access.md).

Polls of an open page are no use: an unattended browser would stay signed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest, HttpResponseBase

from kmes.accounts import client_address, devices, sessions
from kmes.accounts.session_store import ADDRESS, BEGAN, DEVICE, USED
from kmes.core.clock import now

# A use is written so often at most, because each is a write to the database.
USE_SECONDS = 60


class SessionLimitMiddleware:
    """Ends a session whose time is over, before a view sees its user."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on, with the user or with nobody."""
        user: Any = request.user
        if user.is_authenticated:
            if _is_over(request.session):
                request.session.flush()
                request.user = AnonymousUser()
            elif request.headers.get("X-Kmes-Poll") != "1":
                note_use(request)
        return self.get_response(request)


@dataclass(frozen=True)
class TimeLeft:
    """The seconds until a session ends: without further use, and in any case."""

    unused: int
    whole: int


def time_left(session: Any) -> TimeLeft:
    """Return how long a session still lasts; negative when its time is over."""
    moment = now().timestamp()
    # A session of an earlier release has no marks yet.
    idle, age = moment - session.get(USED, moment), moment - session.get(BEGAN, moment)
    return TimeLeft(
        unused=int(settings.KMES_SESSION_IDLE_MINUTES * 60 - idle), whole=int(settings.KMES_SESSION_HOURS * 3600 - age)
    )


def _is_over(session: Any) -> bool:
    left = time_left(session)
    return left.unused < 0 or left.whole < 0


def note_use(request: HttpRequest, *, at_once: bool = False) -> None:
    """Note that a session is used, and from where; ``at_once`` writes it even if that was done a moment ago."""
    session, moment = request.session, now().timestamp()
    session.setdefault(BEGAN, moment)
    # Only forward: a clock that was set back and forth ends no session.
    if moment - session.get(USED, 0) >= (0 if at_once else USE_SECONDS):
        session[USED] = moment
        session[ADDRESS], session[DEVICE] = client_address.of_request(request), devices.of_request(request)


def connect() -> None:
    """Begin to count at each sign-in; safe to call again."""
    user_logged_in.connect(_begin, dispatch_uid="kmes.session_limits")


def _begin(sender: Any, request: Any = None, **kwargs: Any) -> None:  # noqa: ARG001 - the signal's signature
    if hasattr(request, "session"):
        request.session[BEGAN] = now().timestamp()
        note_use(request, at_once=True)
        # Its row still says when it was used before: a browser that comes back late signs in with the session it had.
        sessions.remove_ended(but=request.session.session_key)
