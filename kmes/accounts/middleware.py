"""Leads who signed in with a one-time password to the page that replaces it, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from kmes.ui.answers import go_to

# What they may still see: the page itself, the way out, and what watches the installation.
_OPEN = ("accounts:own_password", "accounts:logout", "dashboard:healthz", "dashboard:readyz", "dashboard:metrics")


class OwnPasswordMiddleware:
    """Bars every other page until the password is the user's own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on, or lead to the page."""
        user: Any = request.user
        if user.is_authenticated and user.must_change_password and request.path not in map(reverse, _OPEN):
            return go_to(request, reverse("accounts:own_password"))
        return self.get_response(request)
