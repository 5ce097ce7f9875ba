"""Responses of views: redirects and forms that work in a page and in a dialog, and files."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect


def asks_for_fragment(request: HttpRequest) -> bool:
    """Return whether htmx asked for a fragment (a dialog, a table) instead of a page."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-Boosted") != "true"


def go_to(request: HttpRequest, url: str) -> HttpResponse:
    """Redirect to ``url``; from a dialog, the whole page."""
    if asks_for_fragment(request):
        return HttpResponseClientRedirect(url)
    return redirect(url)


def back_to(request: HttpRequest, otherwise: str) -> str:
    """Return the address in ``?next=`` if it is a page of this console, else ``otherwise``."""
    wanted = request.GET.get("next", "")
    is_ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if is_ours else otherwise


def render_form(request: HttpRequest, template: str, context: dict[str, object], *, refused: bool) -> HttpResponse:
    """Render a form, with status 422 if the input was refused."""
    return render(request, template, context, status=422 if refused else 200)


def file_headers(name: str) -> dict[str, str]:
    """Return the headers of a file that the browser stores under ``name``, which has letters, digits, dots and hyphens only."""
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }


def send_file(content: bytes | str, content_type: str, *, name: str) -> HttpResponse:
    """Send a file that the browser stores under ``name``; no cache keeps it."""
    return HttpResponse(content, content_type=content_type, headers=file_headers(name))
