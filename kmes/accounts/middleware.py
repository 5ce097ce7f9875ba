"""Keeps a browser's newest session, leads to what a user must do first, logs refused access."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.cache import patch_vary_headers

from kmes.accounts.company_sign_on.selectors import began_at_provider
from kmes.accounts.second_factor import sign_in
from kmes.accounts.sign_in_log import log_refused_access
from kmes.core.errors import PermissionRefused
from kmes.ui.responses import asks_for_fragment, go_to
from logging_reports.services import LogWriteError

logger = logging.getLogger(__name__)

# Always allowed: signing out, and the monitoring endpoints.
_ALLOWED = ("accounts:logout", "dashboard:healthz", "dashboard:readyz", "dashboard:metrics")
# The first page of what a user must do before all else, and the others that belong to it.
_OWN_PASSWORD = ("accounts:own_password",)
_SECOND_FACTOR = (
    "accounts:second_factor",
    "accounts:add_app",
    "accounts:add_passkey",
    "accounts:new_passkey_options",
    "accounts:confirm_factor",
    "accounts:sign_on_confirm",
    "accounts:sign_on_answer",
)


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


class FirstDutiesMiddleware:
    """Redirects every other page until the user has chosen a password, and a second factor where the policy wants one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on, or redirect to the page."""
        user: Any = request.user
        pages = _demanded(request) if user.is_authenticated else ()
        if pages and request.path not in map(reverse, (*pages, *_ALLOWED)):
            page = reverse(pages[0])
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


def _demanded(request: HttpRequest) -> tuple[str, ...]:
    """Return the pages of what the user must do first; none when that is done."""
    user: Any = request.user
    # A one-time password is nothing to who signs in at the identity provider.
    if user.must_change_password and not began_at_provider(request):
        return _OWN_PASSWORD
    return _SECOND_FACTOR if sign_in.must_add(request) else ()


def _is_on(request: HttpRequest, page: str) -> bool:
    """Return whether the request came from a page. The header is cut, not parsed, as its content is untrusted."""
    return request.headers.get("HX-Current-URL", "").partition("#")[0].partition("?")[0].endswith(page)
