"""The page that applies a change that others approved. Only POST acts."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from jobs.approvals.changes import apply_change
from jobs.approvals.request_pages import find_or_404
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.ui.access import right_required
from kmes.ui.responses import go_to


@require_POST
@right_required(Right.CONSOLE_READ)
def apply(request: HttpRequest, code: str) -> HttpResponse:
    """Apply a change; the response shows what is shown once, such as a one-time password."""
    applied = apply_change(request=find_or_404(code), actor=Actor.from_user(request.user))
    if applied.template:
        response = render(request, applied.template, dict(applied.context))
        response.headers["Cache-Control"] = "no-store"
        return response
    messages.success(request, applied.message)
    return go_to(request, applied.page)
