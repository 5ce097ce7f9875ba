"""Choosing retention and limits as a change that an approval policy can be about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.core.guarded_changes import Applied, Description, Operation, register
from kmes.core.options import OPTIONS, value
from kmes.operations.models import StoredOption
from kmes.operations.services import choose_options

# The action of the policy, and the kind of job.
CHANGE_OPTIONS = "change_options"


def register_all() -> None:
    """Register the operation."""
    register(Operation(name="options.choose", action=CHANGE_OPTIONS, describe=_describe, apply=_apply, lock=_lock))


def _lock(_values: Mapping[str, Any], _actor: Actor) -> None:
    list(StoredOption.objects.select_for_update().order_by("pk").values_list("pk", flat=True))


def _describe(values: Mapping[str, Any]) -> Description:
    if unknown := [name for name in values if name not in OPTIONS]:
        raise ConflictError(_("There is no option “%(name)s”.") % {"name": unknown[0]})
    labels = [str(OPTIONS[name].label) for name in sorted(values)]
    return Description(
        subject=", ".join(labels),
        title=_("Change retention and limits"),
        back=reverse("operations:options"),
        facts=[
            (label, f"{value(name)} → {values[name]} {OPTIONS[name].unit}")
            for name, label in zip(sorted(values), labels, strict=True)
        ],
        effects=[_("They take effect at once.")],
    )


def _apply(values: Mapping[str, Any], actor: Actor) -> Applied:
    choose_options(values=dict(values), actor=actor)
    return Applied(message=_("The options are saved and take effect at once."), page=reverse("operations:options"))
