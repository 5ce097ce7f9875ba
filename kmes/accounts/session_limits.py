"""When a session ends by itself: some time after its last use, and some time after its beginning (docs/access.md).

Polls of an open page are no use: an unattended browser would stay signed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest, HttpResponseBase

from kmes.core.clock import now

BEGAN, USED = "kmes_session_began", "kmes_session_used"
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
                _note_use(request.session)
        return self.get_response(request)


def _is_over(session: Any) -> bool:
    moment = now().timestamp()
    # A session of an earlier release has no marks yet.
    idle, age = moment - session.get(USED, moment), moment - session.get(BEGAN, moment)
    return bool(idle > settings.KMES_SESSION_IDLE_MINUTES * 60 or age > settings.KMES_SESSION_HOURS * 3600)


def _note_use(session: Any) -> None:
    moment = now().timestamp()
    session.setdefault(BEGAN, moment)
    # Only forward: a clock that was set back and forth ends no session.
    if moment - session.get(USED, 0) >= USE_SECONDS:
        session[USED] = moment


def connect() -> None:
    """Begin to count at each sign-in; safe to call again."""
    user_logged_in.connect(_begin, dispatch_uid="kmes.session_limits")


def _begin(sender: Any, request: Any = None, **kwargs: Any) -> None:  # noqa: ARG001 - the signal's signature
    if hasattr(request, "session"):
        request.session[BEGAN] = request.session[USED] = now().timestamp()
