"""What others approve of a job on many key groups: one plan that names each of them, under the policies of what is done."""

from __future__ import annotations

from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.confirmation.plan import Fate, Plan
from jobs.confirmation.start_target import StartTarget
from jobs.kinds.many_groups.operations import OPERATIONS
from jobs.models import Job
from jobs.spec import Approval, registry
from keygroups.models import KeyGroup
from kmes.core.errors import ConflictError

# Maximum of key groups in one request, because approvers read each.
MOST_GROUPS = 200


def actions_on_each(kind: str) -> tuple[str, ...]:
    """Return the action of whose policies the operation of this kind needs the approvals, if it is under any."""
    return (kind,) if registry[kind].approval is not None else ()


def _actions(job: Job) -> tuple[str, ...]:
    return actions_on_each(job.work_kind)


def _expected(_target: StartTarget) -> tuple[str, ...]:
    # Its page is about a selection, and asks ``actions_on_each``.
    return ()


def _plan(job: Job) -> Plan:
    operation = OPERATIONS[job.params["each"]]
    ids = [UUID(each) for each in job.params["group_ids"]]
    if len(ids) > MOST_GROUPS:
        raise ConflictError(
            _("A request for approval takes up to %(count)d key groups, because approvers read each.")
            % {"count": MOST_GROUPS},
            _("Select fewer."),
        )
    found = {group.pk: group for group in KeyGroup.objects.filter(pk__in=ids).select_related("vault")}
    if len(found) < len(ids):
        raise ConflictError(_("A key group was deleted since the job was requested."))
    groups = [found[each] for each in ids]
    assert operation.outcomes is not None
    outcomes = operation.outcomes(job.params.get("frozen", {}))
    title = str(operation.title % {"count": len(groups)})
    vaults = sorted({group.vault.name for group in groups})
    return Plan(
        title=title,
        button=title,
        back=reverse("keygroups:keys"),
        facts=[(_("Key groups"), str(len(groups))), (_("Key Vaults"), ", ".join(vaults))],
        fates=[
            Fate(f"{group.name} ({group.vault.name} / {group.azure_name})", outcomes[str(group.pk)], "bad")
            for group in groups
        ],
        effects=[
            *map(str, operation.effects),
            ngettext(
                "One job opens a job for the key group.", "One job opens a job for each of the key groups.", len(groups)
            ),
        ],
    )


APPROVAL = Approval(label=None, actions=_actions, expected=_expected, plan=_plan)
