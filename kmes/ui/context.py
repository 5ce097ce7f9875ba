"""What every page's template may use: the tree, the user's display, and whether the stand-in plays Azure."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from kmes.ui.navigation import tree_for
from kmes.ui.preferences import choices_of


def console(request: HttpRequest) -> dict[str, Any]:
    """Return the shell's variables; a stranger's page has no tree."""
    user: Any = getattr(request, "user", None)
    signed_in = user is not None and user.is_authenticated
    choices = choices_of(request)
    return {
        # Pieces of a page need neither, so each is made when a template asks.
        "tree": SimpleLazyObject(lambda: tree_for(user, request.path, choices.closed_sections) if signed_in else []),
        "display": SimpleLazyObject(lambda: choices.display),
        "stand_in_url": settings.KMES_STAND_IN_URL,
        "is_fragment": request.headers.get("HX-Request") == "true" and request.headers.get("HX-Boosted") != "true",
    }
