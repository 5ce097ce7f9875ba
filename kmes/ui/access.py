"""Access to views: a signed-in user with a right. The refusal names the missing right."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import resolve_url
from django_htmx.http import HttpResponseClientRedirect

from kmes.core.right_names import refusal
from kmes.ui.ended_sessions import keep
from kmes.ui.responses import go_to

View = Callable[..., HttpResponseBase]


def right_required(right: str, *, everywhere: bool = False) -> Callable[[View], View]:
    """Let only signed-in users with ``right`` call the view.

    Users who have it for a scope may too, unless it is needed ``everywhere``: what the view shows or changes is then
    checked with the object (``refuse_outside``, and the services).

    Others are redirected to the sign-in page and back. A user without the right gets the 403 page, which
    ``ConsoleMiddleware`` renders for the PermissionRefused raised here.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            user: Any = request.user
            if not user.is_authenticated:
                return _redirect_to_sign_in(request)
            if not (user.has_right(right) if everywhere else user.may_somewhere(right)):
                raise refusal(user.get_username(), right)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def refuse_outside(request: HttpRequest, right: str, *objects: Any) -> None:
    """Refuse a page about objects on which the user lacks the right.

    Raises:
        PermissionRefused: they do.

    """
    user: Any = request.user
    if not user.may(right, *objects):
        raise refusal(user.get_username(), right, is_outside=user.may_somewhere(right))


def _redirect_to_sign_in(request: HttpRequest) -> HttpResponse:
    """Redirect the whole page, also when htmx asked for a fragment. A form that was sent waits meanwhile.

    A poll gets 401: a redirect would discard what is being typed on its page, which shows that the session has ended.
    """
    if request.headers.get("X-Kmes-Poll") == "1":
        return HttpResponse(status=HTTPStatus.UNAUTHORIZED)
    if request.method == "POST":
        return go_to(request, f"{resolve_url('accounts:login')}?{urlencode({'next': keep(request)}, safe='/')}")
    if request.headers.get("HX-Request") == "true":
        # Cut, not parsed: the header is untrusted, and sign-in checks the path again.
        page = request.headers.get("HX-Current-URL", "/").partition("#")[0]
        path = "/" + page.split("://", 1)[-1].partition("/")[2].lstrip("/")
        return HttpResponseClientRedirect(f"{resolve_url('accounts:login')}?{urlencode({'next': path}, safe='/')}")
    return redirect_to_login(request.get_full_path())
