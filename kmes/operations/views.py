"""Pages of Administration > Configuration besides the device's: options, and the held schedule."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from jobs.schedule import clock_guard
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import InputError
from kmes.operations.forms import OptionsForm
from kmes.operations.models import StoredOption
from kmes.operations.services import choose_options
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form


def _has(request: HttpRequest, right: Right) -> bool:
    user: Any = request.user
    return bool(user.has_right(right))


@require_safe
@right_required(Right.CONSOLE_READ)
def show_options(request: HttpRequest) -> HttpResponse:
    """Show the options; users who may change them get a form."""
    context = {
        "form": OptionsForm(),
        "may_manage": _has(request, Right.CONFIGURATION_MANAGE),
        "chosen": list(StoredOption.objects.order_by("-changed_at")[:1]),
    }
    return render(request, "operations/options.html", context)


@require_http_methods(["POST"])
@right_required(Right.CONFIGURATION_MANAGE)
def save_options(request: HttpRequest) -> HttpResponse:
    """Choose options."""
    form = OptionsForm(request.POST)
    if form.is_valid():
        try:
            changed = choose_options(values=form.values(), actor=Actor.from_user(request.user))
        except InputError as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
        else:
            if changed:
                messages.success(request, _("The options are saved and take effect at once."))
            else:
                messages.info(request, _("Nothing was changed."))
            return go_to(request, reverse("operations:options"))
    return render_form(request, "operations/options.html", {"form": form, "may_manage": True}, refused=True)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_schedule(request: HttpRequest) -> HttpResponse:
    """Show when the schedule last ran, and whether scheduled rotations are held."""
    context = {"watch": clock_guard.read_clock(), "may_confirm": _has(request, Right.KEY_ROTATE)}
    return render(request, "operations/schedule.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.KEY_ROTATE, everywhere=True)
def confirm_schedule(request: HttpRequest) -> HttpResponse:
    """Show what follows; on POST release scheduled rotations."""
    if request.method == "POST":
        clock_guard.confirm(actor=Actor.from_user(request.user))
        messages.success(request, _("Scheduled rotations are resumed."))
        return go_to(request, reverse("operations:schedule"))
    context = {"watch": clock_guard.read_clock(), "due": clock_guard.count_due()}
    return render(request, "operations/confirm_schedule.html", context)
