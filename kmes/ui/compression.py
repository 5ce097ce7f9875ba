"""Compresses pages, styles and scripts for browsers that accept it. Exports, metrics and probes stay as they are.

A page repeats what its address says, so its length could tell an onlooker of encrypted traffic a secret beside it
(BREACH). What is secret in a page differs in each response: the CSRF token is masked anew, the policy's nonce is
made anew. Django adds padding of random length to each compressed response as well.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

COMPRESSED = frozenset({"text/html", "text/css", "text/javascript", "image/svg+xml"})


class CompressionMiddleware(GZipMiddleware):
    """Compresses a response by its type. Stands outside of what serves files and pages."""

    def process_request(self, request: HttpRequest) -> None:
        """Compare entity tags weakly (RFC 9110, 13.1.2): WhiteNoise knows its own, which compression makes weak."""
        if wanted := request.META.get("HTTP_IF_NONE_MATCH"):
            request.META["HTTP_IF_NONE_MATCH"] = wanted.removeprefix("W/")

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Compress the response if a browser gains by it."""
        kind = response.get("Content-Type", "").partition(";")[0].strip()
        # The answer to HEAD has no body, which would be compressed to more than nothing.
        if kind not in COMPRESSED or request.method == "HEAD":
            return response
        return super().process_response(request, response)
