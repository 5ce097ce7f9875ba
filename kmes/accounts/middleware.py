"""Keeps a browser's newest session, leads from a one-time password to the page that replaces it, logs refused access."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.cache import patch_vary_headers

from kmes.accounts.sign_in_log import log_refused_access
from kmes.core.errors import PermissionRefused
from kmes.ui.responses import asks_for_fragment, go_to
from logging_reports.services import LogWriteError

logger = logging.getLogger(__name__)

# Still allowed: the page itself, signing out, and the monitoring endpoints.
_ALLOWED = ("accounts:own_password", "accounts:logout", "dashboard:healthz", "dashboard:readyz", "dashboard:metrics")


class SteadySessionMiddleware(SessionMiddleware):
    """Django's, except that only signing out removes the session's cookie from the browser.

    A new password or a sign-in gives the browser another session. A poll that was sent with the former cookie may be
    answered after that: Django would remove the cookie, which by then is the new one, and the user would be signed out.
    """

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Save the session; leave the cookie of an ended one, which opens nothing."""
        if request.session.is_empty() and request.path != reverse("accounts:logout"):
            patch_vary_headers(response, ("Cookie",))
            return response
        return super().process_response(request, response)


class OwnPasswordMiddleware:
    """Redirects every other page until the user has chosen a password."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on, or redirect to the page."""
        user: Any = request.user
        if user.is_authenticated and user.must_change_password and request.path not in map(reverse, _ALLOWED):
            page = reverse("accounts:own_password")
            # A poll from the page itself gets no content: a redirect would discard what is being entered.
            if asks_for_fragment(request) and _is_on(request, page):
                return HttpResponse(status=HTTPStatus.NO_CONTENT)
            return go_to(request, page)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Log a refused access; ``ConsoleMiddleware`` makes the page of it."""
        if isinstance(exception, PermissionRefused):
            try:
                log_refused_access(request, exception)
            except LogWriteError:
                # It is refused all the same.
                logger.warning("a refused access could not be logged")


def _is_on(request: HttpRequest, page: str) -> bool:
    """Return whether the request came from a page. The header is cut, not parsed, as its content is untrusted."""
    return request.headers.get("HX-Current-URL", "").partition("#")[0].partition("?")[0].endswith(page)
