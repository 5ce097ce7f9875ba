"""Leads who signed in with a one-time password to the page that replaces it, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from kmes.ui.responses import asks_for_fragment, go_to

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
            page = reverse("accounts:own_password")
            # What the page itself polls for gets nothing: leading it there again would wipe what is being typed.
            if asks_for_fragment(request) and _is_on(request, page):
                return HttpResponse(status=HTTPStatus.NO_CONTENT)
            return go_to(request, page)
        return self.get_response(request)


def _is_on(request: HttpRequest, page: str) -> bool:
    """Return whether the request came from a page; the header is cut, not parsed: it may hold anything."""
    return request.headers.get("HX-Current-URL", "").partition("#")[0].partition("?")[0].endswith(page)
