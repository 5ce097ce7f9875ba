"""The home page: what needs attention, the first steps, and recent jobs."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from kmes.accounts.rights import Right
from kmes.dashboard.heartbeats import read_heartbeats
from kmes.dashboard.overview import build_key_age, build_overview
from kmes.dashboard.selectors import recent_jobs
from kmes.ui.access import right_required
from kmes.ui.responses import asks_for_fragment


@require_safe
@right_required(Right.CONSOLE_READ)
def home(request: HttpRequest) -> HttpResponse:
    """Show the dashboard; htmx polls its content alone."""
    context = {"overview": build_overview(read_heartbeats()), "jobs": recent_jobs(), "key_age": build_key_age()}
    return render(request, "dashboard/_overview.html" if asks_for_fragment(request) else "dashboard/home.html", context)
