"""The page of a group's differences from its vault, and the acceptance of one. Jobs set them back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from keygroups.choices import REPAIRABLE, Drift
from keygroups.comparison import compare_in_columns
from keygroups.drift import is_repairable, why_it_stays
from keygroups.lookups import group_or_404
from keygroups.models import KeyGroup, Observation
from keygroups.selectors import has_vault_answered, list_observations
from keygroups.services import accept_drift, why_not_accept
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.ui.access import right_required

SHOWN = 50


@require_safe
@right_required(Right.CONSOLE_READ)
def show_drift(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Show each version that differs: here, last known and live, with its remedies."""
    group = group_or_404(group_id)
    rows = list_observations(group)
    differing = [row for row in rows if row.flags and not row.is_accepted]
    user: Any = request.user
    context = {
        "group": group,
        "findings": [_finding(group, row) for row in differing[:SHOWN]],
        "left_out": max(0, len(differing) - SHOWN),
        "can_set_back": any(is_repairable(row) and row.version_id for row in differing),
        "same": sum(not row.flags for row in rows),
        "accepted": [row for row in rows if row.is_accepted],
        "may_decide": user.may(Right.KEY_DISABLE, group),
        "may_push": user.may(Right.KEY_PUSH, group),
        "check_url": f"{reverse('jobs:start', args=['check_drift'])}?group={group.pk}",
        "is_unreached": not rows and not has_vault_answered(group),
        "may_rotate": user.may(Right.KEY_ROTATE, group),
    }
    return render(request, "keygroups/drift.html", context)


def _finding(group: KeyGroup, row: Observation) -> dict[str, Any]:
    version = row.version
    key = version.key if version else None
    return {
        "row": row,
        "key": key,
        "flags": [(Drift(flag).label, "warning" if flag in REPAIRABLE else "bad") for flag in row.flags],
        "columns": compare_in_columns(group, key, version, row),
        "can_repair": is_repairable(row),
        "can_accept": not why_not_accept(row),
        "why_it_stays": why_it_stays(row),
        "is_current": row.azure_version == group.current_version,
        "is_missing": Drift.MISSING in row.flags,
        "is_stranger": version is None,
    }


@require_POST
@right_required(Right.KEY_DISABLE)
def accept(request: HttpRequest, group_id: UUID, observation_id: UUID) -> HttpResponse:
    """Accept what the vault shows."""
    row = get_object_or_404(Observation, pk=observation_id, group_id=group_id)
    try:
        accept_drift(observation=row, actor=Actor.from_user(request.user))
    except ConflictError as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request, _("Version %(version)s is accepted as the vault shows it.") % {"version": row.azure_version}
        )
    return redirect("keygroups:drift", group_id)
