"""Variables of every template: how long the session lasts without further use, and who else is signed in."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from kmes.accounts.session_limits import time_left


def session(request: HttpRequest) -> dict[str, Any]:
    """Return the seconds until the session ends; 0 without a signed-in user."""
    user: Any = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"session_rest": 0}
    left = time_left(request.session)
    # As the middleware found it for this request; an act of the view may have changed it.
    second = getattr(request, "second_sign_in", None)
    return {"session_rest": min(left.unused, left.whole), "second_sign_in": second}
