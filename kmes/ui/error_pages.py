"""Pages for unexpected errors and for a database that does not answer. They use no database."""

from __future__ import annotations

import contextlib
import logging
import sys
from http import HTTPStatus

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.template.loader import render_to_string
from django.views import defaults

logger = logging.getLogger(__name__)
RETRY_SECONDS = "5"
# What Django raises for a form that can't be read.
_UNREADABLE = (MultiPartParserError, SuspiciousOperation, BadRequest, OSError)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    _read_form(request)
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 if the database can't be reached, else 500. Django calls it in the ``except`` block."""
    error = sys.exc_info()[1]
    _read_form(request)
    if not isinstance(error, OperationalError | InterfaceError):
        return defaults.server_error(request)
    logger.warning("%s %s: the database does not answer", request.method, request.path)
    answer = HttpResponse(render_to_string("503.html"), status=HTTPStatus.SERVICE_UNAVAILABLE)
    answer.headers["Retry-After"], answer.headers["Cache-Control"] = RETRY_SECONDS, "no-store"
    return answer


def _read_form(request: HttpRequest) -> None:
    """Read the form, if nobody has yet: Django looks for its token before it shows an error.

    One that can't be read is empty from then on (``kmes.web_requests``).
    """
    with contextlib.suppress(*_UNREADABLE):
        _ = request.POST
