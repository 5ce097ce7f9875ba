"""Pages of Administration: the device, and which device may push. Never asks the device itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from hsm import selectors
from hsm.services import designate
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.ui.access import right_required
from kmes.ui.responses import go_to


def _may_manage(request: HttpRequest) -> bool:
    user: Any = request.user
    return bool(user.has_right(Right.DEVICE_MANAGE))


@require_safe
@right_required(Right.CONSOLE_READ)
def show_device(request: HttpRequest) -> HttpResponse:
    """Show each registered device: identity, workers, major keys, sentinel, self-test, mechanisms."""
    devices = [
        {
            "row": device,
            "keys": selectors.major_keys_of(device),
            "state": selectors.state_of(device),
            "is_silent": selectors.is_silent(device),
            "sentinel": selectors.sentinel_of(device),
        }
        for device in selectors.list_devices()
    ]
    # By name only: jobs stand above this package.
    self_test_url = reverse("jobs:start", args=["self_test"])
    context = {"devices": devices, "may_manage": _may_manage(request), "self_test_url": self_test_url}
    return render(request, "hsm/device.html", context)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_configuration(request: HttpRequest) -> HttpResponse:
    """Show the HSM Protected Key Options: which device may push key material."""
    devices = [(device, selectors.state_of(device)) for device in selectors.list_devices()]
    context = {"devices": devices, "may_manage": _may_manage(request)}
    return render(request, "hsm/configuration.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.DEVICE_MANAGE)
def designate_device(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Say what designating changes; on POST make this device the one that may push."""
    device = selectors.find_device(device_id)
    if device is None:
        raise Http404(_("There is no such device."))
    former = next((other for other in selectors.list_devices() if other.is_designated), None)
    if request.method == "POST":
        if device.is_designated:
            raise ConflictError(_("This device is designated already."))
        designate(device=device, actor=Actor.from_user(request.user))
        messages.success(request, _("Device %(device)s may push key material now.") % {"device": device})
        return go_to(request, reverse("hsm:configuration"))
    differs = former is not None and not selectors.shares_pmk(device, former)
    return render(request, "hsm/designate.html", {"device": device, "former": former, "differs": differs})
