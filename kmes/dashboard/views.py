"""The home page: what needs attention, the first steps, and what happened lately."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from kmes.accounts.rights import Right
from kmes.dashboard.heartbeats import read_heartbeats
from kmes.dashboard.overview import build_key_age, build_overview
from kmes.dashboard.selectors import recent_jobs
from kmes.ui.access import right_required


@require_safe
@right_required(Right.CONSOLE_READ)
def home(request: HttpRequest) -> HttpResponse:
    """Show the dashboard; htmx asks for its content alone to keep it fresh."""
    context = {"overview": build_overview(read_heartbeats()), "jobs": recent_jobs(), "key_age": build_key_age()}
    is_fragment = request.htmx and not request.htmx.boosted  # type: ignore[attr-defined]
    return render(request, "dashboard/_overview.html" if is_fragment else "dashboard/home.html", context)
