"""Designating a device as a change that an approval policy can be about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from hsm import selectors
from hsm.models import HsmDevice
from hsm.services import designate
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.core.guarded_changes import Applied, Description, Operation, register

# The action of the policy, and the kind of job.
DEVICE = "change_device"


def register_all() -> None:
    """Register the operation."""
    register(Operation(name="device.designate", action=DEVICE, describe=_describe, apply=_apply, lock=_lock))


def _lock(_values: Mapping[str, Any], _actor: Actor) -> None:
    list(HsmDevice.objects.select_for_update().order_by("pk").values_list("pk", flat=True))


def _find(values: Mapping[str, Any]) -> HsmDevice:
    device = HsmDevice.objects.filter(pk=values["device"]).first()
    if device is None or device.is_designated:
        raise ConflictError(_("The device is gone, or designated already."))
    return device


def _describe(values: Mapping[str, Any]) -> Description:
    device = _find(values)
    former = HsmDevice.objects.filter(is_designated=True).first()
    differs = former is not None and not selectors.shares_pmk(device, former)
    return Description(
        subject=str(device),
        title=_("Designate the device %(device)s") % {"device": device},
        back=reverse("hsm:configuration"),
        facts=[
            (_("Device"), f"{former or '–'} → {device}"),
            (_("Serial number"), f"{former.serial if former else '–'} → {device.serial}"),
            (_("Check value of the PMK"), f"{former.pmk_kcv if former else '–'} → {device.pmk_kcv}"),
            (_("Check value of the MFK"), f"{former.mfk_kcv if former else '–'} → {device.mfk_kcv}"),
        ],
        effects=[_("From then on it pushes key material, and the former one no longer may.")],
        warnings=[_("The major keys differ: it can't open the keys and cloud secrets kept here.")] if differs else [],
    )


def _apply(values: Mapping[str, Any], actor: Actor) -> Applied:
    device = designate(device=_find(values), actor=actor)
    message = _("Device %(device)s may push key material now.") % {"device": device}
    return Applied(message=message, page=reverse("hsm:configuration"))
