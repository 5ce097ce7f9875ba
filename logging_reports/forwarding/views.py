"""Pages of Logging and Reporting > Log forwarding: destinations, how far they are, tests."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from kmes.core.actor import Actor
from kmes.core.errors import InputError, KmesError
from kmes.core.guarded_changes import values_of_request
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form
from kmes.ui.tables import arrange
from logging_reports.choices import Service
from logging_reports.forwarding import destinations, seals
from logging_reports.forwarding.choices import Start
from logging_reports.forwarding.forms import DestinationForm, SendAgainForm
from logging_reports.forwarding.guarded_changes import ADD, CHANGE, form_values
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.forwarding.selectors import find_lags, list_log_lags
from logging_reports.forwarding.tables import DestinationTable, state_badge

READ, MANAGE = "log.read", "log.forward"
STATE_ID = "forwarding-state"
NO_CONTENT = 204


def _find_or_404(destination_id: UUID) -> ForwardingDestination:
    destination = destinations.find_destination(destination_id)
    if destination is None:
        raise Http404(_("There is no such destination; it may have been deleted."))
    return destination


def _can_manage(request: HttpRequest) -> bool:
    user: Any = request.user
    return bool(user.has_right(MANAGE))


@require_safe
@right_required(READ)
def list_destinations(request: HttpRequest) -> HttpResponse:
    """List the destinations with how far each is behind."""
    table = DestinationTable(ForwardingDestination.objects.order_by("name"))
    arrange(request, table)
    table.lags = find_lags([row.record for row in table.paginated_rows])
    context = {
        "table": table,
        "is_empty": not table.paginator.count,
        "can_manage": _can_manage(request),
        "private_hosts": settings.KMES_FORWARDING_PRIVATE_HOSTS,
        "alarm_minutes": settings.KMES_FORWARDING_ALARM_SECONDS // 60,
    }
    return render(request, "forwarding/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(MANAGE)
def add_destination(request: HttpRequest) -> HttpResponse:
    """Add a destination."""
    form = DestinationForm(request.POST or None)
    form.initial.update(_approved(request, ADD))
    if request.method == "POST" and form.is_valid():
        start, actor = Start(form.cleaned_data["start"]), Actor.from_user(request.user)
        try:
            destination = destinations.add_destination(form.values(), start=start, actor=actor)
        except KmesError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("The destination %(name)s was added.") % {"name": destination.name})
            return go_to(request, destination.get_absolute_url())
    return _show_form(request, form)


@require_safe
@right_required(READ)
def show_destination(request: HttpRequest, destination_id: UUID) -> HttpResponse:
    """Show a destination, its positions and its last test. htmx requests that part alone."""
    destination = _find_or_404(destination_id)
    lags = list_log_lags(destination)
    seen = repr(
        [
            *((each.service, each.lag.rows, each.position.confirmed) for each in lags),
            *(destination.last_success_at, destination.failures, destination.last_error, destination.is_alarmed),
            *(destination.test_requested_at, destination.tested_at, destination.is_enabled),
        ]
    )
    digest = hashlib.sha256(seen.encode()).hexdigest()[:16]
    is_part = request.headers.get("HX-Target") == STATE_ID
    if is_part and request.GET.get("seen") == digest:
        return HttpResponse(status=NO_CONTENT)
    context = {
        "destination": destination,
        "state": state_badge(destination),
        "lags": lags,
        "logs": [service.label for service in Service if service.value in destination.services],
        "digest": digest,
        "state_id": STATE_ID,
        "can_manage": _can_manage(request),
        "is_sealed": seals.has_valid_seal(destination),
        "send_again": SendAgainForm(),
    }
    response = render(request, "forwarding/_state.html" if is_part else "forwarding/detail.html", context)
    patch_vary_headers(response, ["HX-Target"])
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(MANAGE)
def edit_destination(request: HttpRequest, destination_id: UUID) -> HttpResponse:
    """Change a destination."""
    destination = _find_or_404(destination_id)
    form = DestinationForm(request.POST or None, destination=destination)
    form.initial.update(_approved(request, CHANGE))
    if request.method == "POST" and form.is_valid():
        try:
            destinations.change_destination(destination, form.values(), actor=Actor.from_user(request.user))
        except KmesError as error:
            field = error.field if isinstance(error, InputError) and error.field in form.fields else None
            form.add_error(field, str(error))
        else:
            messages.success(request, _("The destination was saved."))
            return go_to(request, destination.get_absolute_url())
    return _show_form(request, form)


def _approved(request: HttpRequest, operation: str) -> dict[str, object]:
    """Return the values of an approved request that the form applies (``?approved=``)."""
    return form_values(values_of_request(request.GET.get("approved", ""), operation, user_id=request.user.pk))


def _show_form(request: HttpRequest, form: DestinationForm) -> HttpResponse:
    context: dict[str, object] = {"form": form, "destination": form.destination}
    return render_form(request, "forwarding/form.html", context, refused=request.method == "POST")


@require_POST
@right_required(MANAGE)
def test_destination(request: HttpRequest, destination_id: UUID) -> HttpResponse:
    """Have a test event sent."""
    destination = _find_or_404(destination_id)
    try:
        destinations.request_test(destination, actor=Actor.from_user(request.user))
        messages.success(request, _("The test event is on its way. The page shows how it went."))
    except KmesError as error:
        messages.error(request, str(error))
    return redirect(destination.get_absolute_url())


@require_POST
@right_required(MANAGE)
def send_again(request: HttpRequest, destination_id: UUID) -> HttpResponse:
    """Have rows sent again from one on."""
    destination = _find_or_404(destination_id)
    form = SendAgainForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose a log and the number of a row."))
        return redirect(destination.get_absolute_url())
    service, first = Service(form.cleaned_data["service"]), form.cleaned_data["first"]
    try:
        destinations.send_again(destination, service, first, actor=Actor.from_user(request.user))
        messages.success(request, _("The rows are sent again, marked as repeats."))
    except KmesError as error:
        messages.error(request, str(error))
    return redirect(destination.get_absolute_url())


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(MANAGE)
def delete_destination(request: HttpRequest, destination_id: UUID) -> HttpResponse:
    """Ask for confirmation, then delete the destination."""
    destination = _find_or_404(destination_id)
    if request.method == "POST":
        destinations.delete_destination(destination, actor=Actor.from_user(request.user))
        messages.success(request, _("The destination %(name)s was deleted.") % {"name": destination.name})
        return redirect("forwarding:list")
    return render(request, "forwarding/delete.html", {"destination": destination})
