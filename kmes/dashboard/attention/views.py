"""Acknowledging a matter, and withdrawing that. The right depends on the matter."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.dashboard.attention import services
from kmes.dashboard.attention.facts import collect
from kmes.dashboard.attention.forms import AcknowledgeForm
from kmes.dashboard.attention.lines import Line, read_attention
from kmes.dashboard.attention.matters import MATTERS, Matter
from kmes.dashboard.heartbeats import read_heartbeats
from kmes.dashboard.selectors import find_device
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def acknowledge(request: HttpRequest, matter: str) -> HttpResponse:
    """Ask for the reason; on POST take the matter off the list until it is over."""
    wanted, actor = _matter_or_404(matter), Actor.from_user(request.user)
    check(actor, wanted.right)
    line = _find_line(wanted, request.user)
    form = AcknowledgeForm(request.POST or None, initial={"seen": line.digest if line else ""})
    context: dict[str, Any] = {"matter": wanted, "line": line, "form": form}
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            services.acknowledge(
                matter=wanted,
                facts=line.facts if line else [],
                seen=given["seen"],
                reason=given["reason"],
                actor=actor,
            )
        except ConflictError as error:
            context["refusal"] = error
            context["form"] = AcknowledgeForm(initial={"reason": given["reason"], "seen": line.digest if line else ""})
        else:
            messages.success(request, _("Acknowledged. It is shown again if it recurs."))
            return go_to(request, reverse("dashboard:home"))
    return render_form(request, "dashboard/acknowledge.html", context, refused=request.method == "POST")


@require_POST
@right_required(Right.CONSOLE_READ)
def withdraw(request: HttpRequest, matter: str) -> HttpResponse:
    """Put a matter back on the list."""
    services.withdraw(matter=_matter_or_404(matter), actor=Actor.from_user(request.user))
    messages.success(request, _("The acknowledgement is withdrawn."))
    return go_to(request, reverse("dashboard:home"))


def _matter_or_404(name: str) -> Matter:
    if name not in MATTERS:
        raise Http404(_("There is no such matter."))
    return MATTERS[name]


def _find_line(matter: Matter, user: Any) -> Line | None:
    lines = read_attention(collect(read_heartbeats(), find_device()), user).lines
    return next((line for line in lines if line.matter == matter), None)
