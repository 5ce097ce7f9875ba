"""Common to all responses: errors as pages, and headers that keep pages out of caches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from http import HTTPStatus

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from kmes.core.errors import ConflictError, InputError, KmesError, PermissionRefused
from kmes.ui import change_signal, ended_sessions
from kmes.ui.preferences import rendering_for
from kmes.ui.responses import asks_for_fragment

logger = logging.getLogger(__name__)
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


class StorableTextMiddleware:
    """Refuses a NUL character in address, form, header or cookie: nobody types one, and PostgreSQL answers it with an error."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on, or raise BadRequest."""
        if any("\0" in text for text in _texts(request)):
            message = "a NUL character in the request"
            raise BadRequest(message)
        return self.get_response(request)


def _texts(request: HttpRequest) -> Iterator[str]:
    yield request.path_info
    yield from request.COOKIES.values()
    # A failed sign-in is kept with its user agent.
    yield from (value for name, value in request.META.items() if name.startswith("HTTP_"))
    for values in (request.GET, request.POST):
        for name, listed in values.lists():
            yield name
            yield from map(str, listed)


class ConsoleMiddleware:
    """Turns our errors into pages, forbids caches to store pages of signed-in users, remembers whose session it is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on and complete the headers of the response."""
        request.changes_seen = change_signal.read_before_page(request)  # type: ignore[attr-defined]
        with rendering_for(request):
            response = self.get_response(request)
        ended_sessions.remember_user(request, response)
        # Pages and fragments share an address, so a cache must tell them apart.
        patch_vary_headers(response, ["HX-Request"])
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        user = getattr(request, "user", None)
        if user is not None and user.is_authenticated:
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Show one of our errors with its own text; leave all others to Django."""
        if not isinstance(exception, KmesError):
            return None
        status = status_of(exception)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.warning("%s %s: %s", request.method, request.path, exception.code)
        return render_refusal(request, exception, status)


def status_of(error: KmesError) -> HTTPStatus:
    """Return the HTTP status of an error."""
    if isinstance(error, PermissionRefused):
        return HTTPStatus.FORBIDDEN
    if isinstance(error, InputError):
        return HTTPStatus.BAD_REQUEST
    if isinstance(error, ConflictError):
        return HTTPStatus.CONFLICT
    return HTTPStatus.SERVICE_UNAVAILABLE


def render_refusal(request: HttpRequest, error: KmesError, status: HTTPStatus) -> HttpResponse:
    """Render what happened and what to do, as a page or as a fragment for htmx."""
    template = "ui/_refusal.html" if asks_for_fragment(request) else "ui/refusal.html"
    return render(request, template, {"error": error, "status": int(status)}, status=int(status))
