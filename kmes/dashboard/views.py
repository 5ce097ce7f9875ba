"""The home page: what needs attention, the first steps, system health; and what is coming and was done."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from kmes.accounts.rights import Right
from kmes.dashboard.heartbeats import read_heartbeats
from kmes.dashboard.outlook import build_outlook
from kmes.dashboard.overview import build_overview
from kmes.ui.access import right_required
from kmes.ui.responses import asks_for_fragment

NO_CONTENT = 204


@require_safe
@right_required(Right.CONSOLE_READ)
def home(request: HttpRequest) -> HttpResponse:
    """Show the dashboard; htmx polls its changing part alone."""
    overview = build_overview(read_heartbeats(), request.user)
    if not asks_for_fragment(request):
        return render(request, "dashboard/home.html", {"overview": overview})
    if request.GET.get("seen") == overview.digest:
        return HttpResponse(status=NO_CONTENT)
    return render(request, "dashboard/_overview.html", {"overview": overview})


@require_safe
@right_required(Right.CONSOLE_READ)
def outlook(request: HttpRequest) -> HttpResponse:
    """Show the next 14 days, the last 24 hours and each vault; the dashboard loads it as a fragment."""
    template = "dashboard/_outlook.html" if asks_for_fragment(request) else "dashboard/outlook.html"
    return render(request, template, {"outlook": build_outlook()})
