"""What every page's template may use: the tree, and whether the stand-in plays Azure."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from kmes.ui.navigation import tree_for


def console(request: HttpRequest) -> dict[str, Any]:
    """Return the shell's variables; a stranger's page has no tree."""
    user: Any = getattr(request, "user", None)
    signed_in = user is not None and user.is_authenticated
    return {
        "tree": tree_for(user, request.path) if signed_in else [],
        "stand_in_url": settings.KMES_STAND_IN_URL,
        "is_fragment": request.headers.get("HX-Request") == "true" and request.headers.get("HX-Boosted") != "true",
    }
