"""Pages of sessions: one's own, those of all users, ending them, and how long one's own still lasts."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from kmes.accounts import sessions
from kmes.accounts.models import ConsoleSession
from kmes.accounts.rights import Right
from kmes.accounts.session_limits import note_use, time_left
from kmes.accounts.session_store import digest_of
from kmes.accounts.tables import AllSessionsTable, OwnSessionsTable
from kmes.core.actor import Actor
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form
from kmes.ui.tables import arrange


@require_safe
@right_required(Right.CONSOLE_READ)
def list_own(request: HttpRequest) -> HttpResponse:
    """List the user's own sessions."""
    viewer: Any = request.user
    table = OwnSessionsTable(sessions.list_sessions(viewer), own_digest=digest_of(request.session.session_key))
    arrange(request, table)
    return render(request, "accounts/own_sessions.html", {"table": table, "has_others": len(table.data) > 1})


@require_safe
@right_required(Right.USER_MANAGE)
def list_all(request: HttpRequest) -> HttpResponse:
    """List the sessions of all users."""
    table = AllSessionsTable(sessions.list_sessions(), own_digest=digest_of(request.session.session_key))
    arrange(request, table)
    return render(request, "accounts/all_sessions.html", {"table": table})


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def end_session(request: HttpRequest, session: str) -> HttpResponse:
    """Confirm, then end a session: one's own, or another user's with the right to manage users."""
    viewer: Any = request.user
    found = sessions.list_sessions(None if viewer.has_right(Right.USER_MANAGE) else viewer)
    ended: ConsoleSession = get_object_or_404(found, name=session)
    is_own = ended.user_id == viewer.pk
    back = reverse("accounts:own_sessions" if is_own else "accounts:sessions")
    is_this = ended.digest == digest_of(request.session.session_key)
    if request.method == "POST":
        sessions.end_session(session=ended, actor=Actor.from_user(viewer))
        if is_this:
            # The row is gone: a message could not be saved in it.
            request.session.flush()
            return go_to(request, reverse("accounts:login"))
        messages.success(request, _("The session is ended."))
        return go_to(request, back)
    context = {"session": ended, "is_own": is_own, "is_this": is_this, "back": back}
    return render_form(request, "accounts/end_session.html", context, refused=False)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def end_others(request: HttpRequest) -> HttpResponse:
    """Confirm, then end the user's other sessions."""
    viewer: Any = request.user
    if request.method == "POST":
        kept_key = str(request.session.session_key)
        count = sessions.end_others(user=viewer, kept_key=kept_key, actor=Actor.from_user(viewer))
        text = ngettext("%(count)d session is ended.", "%(count)d sessions are ended.", count)
        messages.success(request, text % {"count": count})
        return go_to(request, reverse("accounts:own_sessions"))
    return render_form(request, "accounts/end_session.html", {"back": reverse("accounts:own_sessions")}, refused=False)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def show_time_left(request: HttpRequest) -> HttpResponse:
    """Answer how long the session still lasts, in seconds. A POST is a use of it."""
    if request.method == "POST":
        note_use(request, at_once=True)
    left = time_left(request.session)
    return JsonResponse({"unused": left.unused, "whole": left.whole})
