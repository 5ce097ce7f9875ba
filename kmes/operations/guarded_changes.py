"""Changes of operations that an approval policy can be about: retention and limits, and going on after a restore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from jobs.models import ScheduleClock
from jobs.schedule import clock_guard
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.core.guarded_changes import Applied, Description, Operation, in_words, register
from kmes.core.options import OPTIONS, value
from kmes.operations.models import StoredOption
from kmes.operations.services import choose_options
from logging_reports.choices import Service
from logging_reports.models import LogEntry

# The actions of policies, and the kinds of jobs.
CHANGE_OPTIONS, RESUME = "change_options", "resume_restored"


def register_all() -> None:
    """Register the operations."""
    register(
        Operation(name="options.choose", action=CHANGE_OPTIONS, describe=_describe, apply=_apply, lock=_lock),
        Operation(
            name="schedule.resume", action=RESUME, describe=_describe_restore, apply=_resume, lock=_lock_schedule
        ),
    )


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


# --- After a restore -----------------------------------------------------------------------------------
def _lock_schedule(_values: Mapping[str, Any], _actor: Actor) -> None:
    list(ScheduleClock.objects.select_for_update().values_list("pk", flat=True))


def _describe_restore(values: Mapping[str, Any]) -> Description:
    watch = clock_guard.read_clock()
    if watch.held_since is None or watch.held_since.isoformat() != values["held_since"]:
        raise ConflictError(_("Scheduled rotations are no longer held, or were held again."))
    restored = LogEntry.objects.filter(service=Service.AUDIT, event="backup.restored").order_by("-sequence").first()
    data = restored.data if restored is not None else {}
    return Description(
        subject=_("Schedule"),
        title=_("Resume rotations after a restore"),
        back=reverse("operations:schedule"),
        facts=[
            (_("Restored at"), f"{restored.at:%Y-%m-%d %H:%M:%S} UTC" if restored is not None else "–"),
            (_("Backup made at"), in_words(data.get("made_at"))),
            (_("Signed by"), in_words(data.get("signed_by"))),
        ],
        effects=[_("Each rotation that fell due meanwhile is done once, and the schedule continues.")],
        warnings=[
            _("Users, roles and policies are as old as the backup. Check them, and the drift of the key groups, first.")
        ],
    )


def _resume(_values: Mapping[str, Any], actor: Actor) -> Applied:
    clock_guard.confirm(actor=actor)
    return Applied(message=_("Scheduled rotations are resumed."), page=reverse("operations:schedule"))
