"""Variables of every template: the tree, the user's display, the stand-in's address."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from kmes.ui import ended_sessions
from kmes.ui.navigation import tree_for
from kmes.ui.preferences import CSV_ENCODINGS, choices_of
from kmes.ui.responses import asks_for_fragment


def console(request: HttpRequest) -> dict[str, Any]:
    """Return the shell's variables; without a signed-in user the tree is empty."""
    user: Any = getattr(request, "user", None)
    signed_in = user is not None and user.is_authenticated
    choices = choices_of(request)
    return {
        # Lazy, because fragments use neither.
        "tree": SimpleLazyObject(lambda: tree_for(user, request.path, choices.closed_sections) if signed_in else []),
        "display": SimpleLazyObject(lambda: choices.display),
        "csv_encoding": SimpleLazyObject(lambda: choices.csv_encoding),
        "csv_encodings": CSV_ENCODINGS,
        # Lazy, because only a whole page shows it, and taking it removes it.
        "unsent": SimpleLazyObject(lambda: ended_sessions.take(request)),
        "changes_seen": getattr(request, "changes_seen", ""),
        "stand_in_url": settings.KMES_STAND_IN_URL,
        "is_fragment": asks_for_fragment(request),
    }
